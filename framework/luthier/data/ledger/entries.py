"""What the ledger holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One token: `message` is the number of its message from 0, None for what the template says itself or for text.

    `text` is empty where a token is only the beginning of a character; the token that completes it says it.
    """

    id: int
    text: str
    message: int | None
    role: str
    weight: float
    special: bool
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to know about an example: `name` for scripts, `message` and `hint` for people."""

    severity: Severity
    name: str
    message: str
    hint: str = ""

    def as_json(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The tokens of one encoded example and what was found in them."""

    where: str
    tokens: list[Entry]
    findings: list[Finding] = field(default_factory=list)

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "error"]

    def totals(self) -> dict[str, dict[str, float]]:
        """By role: `tokens`, `trained` tokens, and the sum of their weights, `weight`."""
        found: dict[str, dict[str, float]] = {}
        for entry in self.tokens:
            of_role = found.setdefault(entry.role, {"tokens": 0, "trained": 0, "weight": 0.0})
            of_role["tokens"] += 1
            of_role["trained"] += entry.weight > 0
            of_role["weight"] += entry.weight
        return found

    def as_json(self) -> dict[str, Any]:
        return {
            "where": self.where,
            "tokens": [asdict(entry) for entry in self.tokens],
            "totals": self.totals(),
            "findings": [finding.as_json() for finding in self.findings],
        }
