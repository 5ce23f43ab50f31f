"""How numbers and their names read."""

from __future__ import annotations

from luthier.contracts.scores import Score

_TITLES = {
    "loss": "held-out loss",
    "perplexity": "held-out perplexity",
    "general_loss": "loss on general text",
    "general_perplexity": "general perplexity",
    "macro_f1": "macro-F1",
    "span_f1": "span F1",
    "rouge_l": "ROUGE-L",
    "chrf": "chrF",
}


def title(name: str) -> str:
    """A score's name in words; `hard/loss` is `held-out loss (hard)`."""
    of_set, _, plain = name.rpartition("/")
    words = _TITLES.get(plain, plain.replace("_", " "))
    return f"{words} ({of_set})" if of_set else words


MANY = 1e6


def format_number(value: float) -> str:
    """At least three significant digits, no more decimals than three, a true minus sign; `7.05e+07` from a million."""
    magnitude = abs(value)
    if magnitude >= MANY:
        text = f"{value:.2e}"
    elif magnitude >= 1000:
        text = f"{value:,.0f}"
    elif magnitude >= 0.01 or value == 0:
        text = f"{value:.{1 if magnitude >= 100 else 2 if magnitude >= 10 else 3}f}"
    else:
        text = f"{value:.2g}"
    return text.replace("-", "−", 1) if value < 0 else text


def format_signed(value: float) -> str:
    """A change, with its sign."""
    return format_number(value) if value < 0 else f"+{format_number(value)}"


def format_interval(score: Score, *, sign: bool = False) -> str:
    """`0.801 to 0.915`"""
    form = format_signed if sign else format_number
    return f"{form(score.low)} to {form(score.high)}"


def format_count(value: int) -> str:
    """`12,345`"""
    return f"{value:,}"


def share(part: float, whole: float) -> str:
    """A percentage, finer near its ends: `3.10 %`, `54 %`, `99.87 %`."""
    percent = 100 * part / whole
    digits = 0 if 10 <= percent <= 99 or part in (0, whole) else 2
    return f"{percent:.{digits}f} %" if percent >= 0.01 or not part else "<0.01 %"


def duration(seconds: float) -> str:
    """`4.2 s`, `3 min 20 s`, `2 h 05 min`"""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, left = divmod(minutes, 60)
    return f"{hours} h {left:02d} min" if hours else f"{minutes} min {rest:02d} s"


def format_size(amount: int) -> str:
    """Bytes in binary units."""
    value, units = float(amount), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.1f} {units[0]}" if value < 10 and units[0] != "B" else f"{value:.0f} {units[0]}"
