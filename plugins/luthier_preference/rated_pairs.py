"""Rated texts as preference pairs: the one with the higher rating is preferred."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.api import DataError, RecipeError, Tally, column_of, number_field, source_state, text_field

if TYPE_CHECKING:
    from luthier.api import Example, Source


@dataclass(kw_only=True)
class RatedPairs:
    """Pairs of texts of the same split: each text with the first unpaired one whose rating differs by `gap` or more.

    `ask` is the user's message before every text. A text is in one pair at most; the others are counted as `unpaired`.
    The difference of the ratings, in the column `rating`, is the pair's `margin`.
    """

    texts: Source
    ask: str
    rating: str = "rating"
    gap: float = 1.0

    tally = Tally()

    def __post_init__(self) -> None:
        if self.gap <= 0:
            raise RecipeError(
                f"data.gap is {self.gap}, but texts of the same rating make no pair.", where="data.gap", hint="Use 1."
            )

    def __iter__(self) -> Iterator[Example]:
        tally = self.tally = Tally()
        unpaired: dict[str, list[Example]] = defaultdict(list)
        for text in self.texts:
            column_of(text, self.rating, setting="data.rating")
            rating = number_field(text, self.rating)
            waiting = unpaired[text["split"]]
            apart = (other for other in waiting if abs(number_field(other, self.rating) - rating) >= self.gap)
            partner = next(apart, None)
            if partner is None:
                waiting.append(text)
                continue
            waiting.remove(partner)
            tally.counts["examples"] += 1
            tally.counts[text["split"]] += 1
            yield self._pair(text, partner)
        tally.counts["unpaired"] = sum(map(len, unpaired.values()))
        if not tally.counts["examples"]:
            raise DataError(
                f"No two texts have ratings that differ by {self.gap:g}.", where="data.gap", hint="Lower data.gap."
            )

    def _pair(self, text: Example, partner: Example) -> Example:
        worse, better = sorted((text, partner), key=lambda example: number_field(example, self.rating))
        return {
            "messages": [{"role": "user", "content": self.ask}],
            "chosen": [{"role": "assistant", "content": text_field(better, "text")}],
            "rejected": [{"role": "assistant", "content": text_field(worse, "text")}],
            "margin": number_field(better, self.rating) - number_field(worse, self.rating),
            "where": text["where"],
            "split": text["split"],
        }

    @property
    def counts(self) -> Mapping[str, int]:
        """The counts of the texts; `examples` and the splits count pairs."""
        total: Counter[str] = Counter(self.texts.counts)
        for name in ("examples", "train", "validation", "test"):
            total.pop(name, None)
        total.update(self.tally.counts)
        return {name: count for name, count in sorted(total.items()) if count}

    @property
    def warnings(self) -> list[str]:
        return [*self.texts.warnings, *self.tally.warnings]

    def fingerprint(self) -> dict[str, Any]:
        """The fingerprint of the texts, and the counts of pairs."""
        return {**self.texts.fingerprint(), "counts": dict(self.counts)}

    def state(self) -> Any:
        """The state of the texts; None where it is unknown."""
        return source_state(self.texts)

    def quarantine_into(self, folder: Path) -> None:
        """Write invalid texts to a file in this folder."""
        self.texts.quarantine_into(folder)
