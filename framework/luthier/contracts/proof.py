"""How far two networks that are to be one are from each other: the figure of what was written or merged."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

LOST = 0.5
"""The share of an adapter's change of the logits, above which what a merge rounds away is reported."""


@dataclass(frozen=True, slots=True)
class Rounding:
    """The largest differences of logits or log-probabilities that are rounding: of any token, and on average."""

    largest: float
    mean: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The largest differences between the logits of what `reader` reads and those of the network in memory.

    `nats` are those of log-probabilities, None where the network gives scores; `mean` is their mean. `changed` is the
    mean change by the adapter, where it could be switched off: a merge that rounds as much has lost what was learned.
    """

    reader: str
    """Who read it back: plain transformers, plain PEFT, luthier."""
    logits: float
    """The largest difference of logits."""
    nats: float | None = None
    """The largest difference of log-probabilities."""
    mean: float
    """The mean difference of log-probabilities, or of scores."""
    tokens: int
    """How many were read."""
    texts: str
    """What was read."""
    changed: float | None = None
    """The mean change by the adapter."""

    def within(self, *allowed: Rounding) -> bool:
        """Whether the differences are rounding in the coarsest of these."""
        largest = self.logits if self.nats is None else self.nats
        return largest <= max(each.largest for each in allowed) and self.mean <= max(each.mean for each in allowed)

    @property
    def lossy(self) -> bool:
        """Whether rounding has taken most of what the adapter changed."""
        return bool(self.changed and self.mean > LOST * self.changed)

    def as_json(self) -> dict[str, Any]:
        """Plain values, without what is not known."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        nats = "" if self.nats is None else f", log-probabilities by {self.nats:.2g} nats"
        return (
            f"as read by {self.reader}, its logits differ by {self.logits:.2g} at most{nats}, over {self.tokens} "
            f"tokens ({self.texts})"
        )
