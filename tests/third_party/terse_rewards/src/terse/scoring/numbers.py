def share(part: int, whole: int) -> float:
    return part / whole
