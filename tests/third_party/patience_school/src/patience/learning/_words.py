def clamp(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
