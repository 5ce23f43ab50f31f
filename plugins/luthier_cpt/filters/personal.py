"""PII masking: personal data in text is replaced by placeholders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal

from luthier.api import with_text

if TYPE_CHECKING:
    from luthier.api import Example, Tally

Kind = Literal["email", "card", "iban", "ip", "phone"]

_PATTERNS = {
    "email": re.compile(r"\b[\w.%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}\b"),
    "card": re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d.]*\d)"),
    "iban": re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b"),
    "ip": re.compile(
        r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?![\w:]|\.\d)"
    ),
    "phone": re.compile(
        r"(?<![\w+.])(?:\+|00)[1-9]\d{0,2}[ .-]?(?:\(0?\d{1,4}\)[ .-]?)?\d(?:[ .-]?\d){5,11}(?![\w.]*\d)"
    ),
}


class MaskPersonal:
    """Replace personal data by `[EMAIL]`, `[CARD]`, `[IBAN]`, `[IP]` or `[PHONE]`: `kinds` in their order; null is all.

    Card numbers and IBANs must have valid check digits (ISO/IEC 7812 and 13616), IP addresses be public, telephone
    numbers have a country code. Names are not masked: this makes text less personal, not anonymous.
    """

    def __init__(self, *, kinds: list[Kind] | None = None) -> None:
        self.kinds = list(kinds or _PATTERNS)

    def __call__(self, examples: Iterable[Example], tally: Tally) -> Iterator[Example]:
        """Counts `masked <kind>`, and the `examples` with one or more."""
        for example in examples:
            before = sum(tally.counts.values())
            changed = with_text(example, lambda text: self.masked(text, tally))
            tally.counts["examples"] += sum(tally.counts.values()) > before
            yield changed

    def masked(self, text: str, tally: Tally) -> str:
        for kind in self.kinds:

            def placeholder(match: re.Match[str], kind: str = kind) -> str:
                if not _VALID.get(kind, bool)(match[0]):
                    return match[0]
                tally.counts[f"masked {kind}"] += 1
                return f"[{kind.upper()}]"

            text = _PATTERNS[kind].sub(placeholder, text)
        return text


def _is_card(text: str) -> bool:
    """Whether Luhn's check digit is valid."""
    digits = [int(digit) for digit in text if digit.isdigit()]
    doubled = [digit if place % 2 == 0 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0 and any(digits)


def _is_iban(text: str) -> bool:
    """Whether the check digits are valid: the remainder of division by 97 is 1."""
    plain = text.replace(" ", "")
    return int("".join(str(int(character, 36)) for character in plain[4:] + plain[:4])) % 97 == 1


def _is_public(text: str) -> bool:
    try:
        return ip_address(text).is_global
    except ValueError:
        return False


_VALID = {"card": _is_card, "iban": _is_iban, "ip": _is_public}
