"""Texts that people have rated, as pairs: of two, the better rated one is preferred."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.api import DataError, RecipeError, Tally, number_field, source_state, text_field

if TYPE_CHECKING:
    from luthier.api import Example, Source


@dataclass(kw_only=True)
class RatedPairs:
    """Pairs of texts of the same split: each text with the first before it whose rating differs by `gap` or more.

    `ask` is what the user says before every text. A text stands in one pair at most; those that are left over are
    counted as `unpaired`. The difference in the column `rating` is the pair's `margin`.
    """

    texts: Source
    ask: str
    rating: str = "rating"
    gap: float = 1.0

    tally = Tally()

    def __post_init__(self) -> None:
        if self.gap <= 0:
            raise RecipeError(
                f"data.gap is {self.gap}: texts that are rated alike are no pair.", where="data.gap", hint="Use 1."
            )

    def __iter__(self) -> Iterator[Example]:
        tally = self.tally = Tally()
        waiting: dict[str, list[Example]] = defaultdict(list)
        for one in self.texts:
            rating = number_field(one, self.rating)
            others = waiting[one["split"]]
            other = next((each for each in others if abs(number_field(each, self.rating) - rating) >= self.gap), None)
            if other is None:
                others.append(one)
                continue
            others.remove(other)
            tally.counts["examples"] += 1
            tally.counts[one["split"]] += 1
            yield self._pair(one, other)
        tally.counts["unpaired"] = sum(map(len, waiting.values()))
        if not tally.counts["examples"]:
            raise DataError(
                f"No two texts have ratings that differ by {self.gap:g}.", where="data.gap", hint="Lower data.gap."
            )

    def _pair(self, one: Example, other: Example) -> Example:
        worse, better = sorted((one, other), key=lambda each: number_field(each, self.rating))
        return {
            "messages": [{"role": "user", "content": self.ask}],
            "chosen": [{"role": "assistant", "content": text_field(better, "text")}],
            "rejected": [{"role": "assistant", "content": text_field(worse, "text")}],
            "margin": number_field(better, self.rating) - number_field(worse, self.rating),
            "where": one["where"],
            "split": one["split"],
        }

    @property
    def counts(self) -> Mapping[str, int]:
        """Those of the texts; `examples` and the splits are pairs."""
        total: Counter[str] = Counter(self.texts.counts)
        for name in ("examples", "train", "validation", "test"):
            total.pop(name, None)
        total.update(self.tally.counts)
        return {name: count for name, count in sorted(total.items()) if count}

    @property
    def warnings(self) -> list[str]:
        return [*self.texts.warnings, *self.tally.warnings]

    def fingerprint(self) -> dict[str, Any]:
        """That of the texts, and the counts of pairs."""
        return {**self.texts.fingerprint(), "counts": dict(self.counts)}

    def state(self) -> Any:
        """That of the texts; None where it cannot be told."""
        return source_state(self.texts)

    def quarantine_into(self, folder: Path) -> None:
        """Let the texts that cannot be used be kept there."""
        self.texts.quarantine_into(folder)
