def line(metrics, step) -> str:
    return f"Step {step}: " + ", ".join(sorted(metrics)) + "\n"
