"""The types of the token ledger."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
ErrorName = Literal[
    "truncated_answer", "no_trainable_token", "double_bos", "endless_answer", "pad_is_end_of_turn",
    "untrained_end_of_turn",
]  # fmt: skip
"""The findings that end a run where all inspected examples have them, unless `batch.allow` names them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One token. `message` is the number of its message from 0, None for tokens of the template or of plain text.

    `text` is empty where a token is the beginning of a character of several tokens, whose last one has the text.
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
    """A finding about an example: `name` for programs, `message` and `hint` for people."""

    severity: Severity
    name: str
    message: str
    hint: str = ""

    def as_json(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The tokens of one encoded example and the findings about them."""

    where: str
    tokens: list[Entry]
    findings: list[Finding] = field(default_factory=list)

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "error"]

    def totals(self) -> dict[str, dict[str, float]]:
        """For each role, the number of `tokens` and of `trained` tokens, and the sum of their weights, `weight`."""
        totals: dict[str, dict[str, float]] = {}
        for entry in self.tokens:
            of_role = totals.setdefault(entry.role, {"tokens": 0, "trained": 0, "weight": 0.0})
            of_role["tokens"] += 1
            of_role["trained"] += entry.weight > 0
            of_role["weight"] += entry.weight
        return totals

    def as_json(self) -> dict[str, Any]:
        return {
            "where": self.where,
            "tokens": [asdict(entry) for entry in self.tokens],
            "totals": self.totals(),
            "findings": [finding.as_json() for finding in self.findings],
        }
