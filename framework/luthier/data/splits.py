"""Assignment of examples to the splits train, validation and test."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from luthier.data.examples import prompt_key, text_key
from luthier.data.records import Tally
from luthier.errors import DataError, RecipeError

if TYPE_CHECKING:
    from luthier.contracts.examples import Example

NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "validation",
    "test": "test",
    "testing": "test",
}
MOST_LABELS = 1000  # of a split that are compared
ENOUGH = 50  # examples from which on shares are checked
FAR_OFF = 6.0  # standard deviations
ROUNDING = 1e-9


HELD_OUT_FIRST = ("test", "validation", "train", None)
"""The order of reading several splits: a duplicate in two of them is then dropped from training."""


class Splits(Protocol):
    """Assigns each example its `split`: train, validation or test."""

    def __call__(self, examples: Iterable[Example], tally: Tally) -> Iterator[Example]:
        """The same examples in the same order, each with `split`; warnings are added to the tally."""


def split_named(name: object, where: str) -> str:
    """The split of a name in the data, such as `dev`; DataError if there is none of that name."""
    split = NAMES.get(str(name).strip().lower())
    if split is None:
        raise DataError(
            f"The column `split` says {name!r}, which is no split.",
            where=where,
            hint="Use train, validation or test, or rename the column: 'data.rename={split: part}'.",
        )
    return split


@dataclass(frozen=True)
class HashSplits:
    """Hold out shares of the examples by the hash of their text, so that an example never changes its split.

    More rows, another order or another machine change no split; a larger `test` only takes from train. `by` prompt puts
    all answers to one prompt into one split; `by` content hashes the whole example, for data in which many examples
    have the same prompt. A split that the source gives is kept. Each `fold` holds out other examples: folds 0, 1, … are
    those of a cross-validation, as many as `test` goes into the whole.
    """

    test: float = 0.1
    """The share of examples in the test split."""
    validation: float = 0.0
    """The share of examples in the validation split."""
    by: Literal["prompt", "content"] = "prompt"
    fold: int = 0
    """Which share of the examples is held out, from 0 on."""

    def __post_init__(self) -> None:
        if min(self.test, self.validation) < 0 or self.test + self.validation > 1:
            raise RecipeError(
                f"The shares test {self.test} and validation {self.validation} do not leave a share for training.",
                where="data.splits",
            )
        if self.fold < 0 or (self.fold and not 0 < self.test * (self.fold + 1) <= 1 + ROUNDING):
            raise RecipeError(
                f"There is no fold {self.fold} of a test split of {self.test:.0%}: folds share no example.",
                where="data.splits.fold",
                hint="Lower data.splits.test: with 0.2 there are the folds 0 to 4.",
            )

    def split(self, example: Example) -> str:
        """The split of an example: a pure function of its text."""
        key = {"prompt": prompt_key, "content": text_key}[self.by](example)
        place = int.from_bytes(key[:8], "big") / 2**64
        if self.fold:
            place = (place - self.fold * self.test) % 1.0
        return "test" if place < self.test else "validation" if place < self.test + self.validation else "train"

    def __call__(self, examples: Iterable[Example], tally: Tally) -> Iterator[Example]:
        """The same examples in the same order, each with `split`; warnings go to the tally."""
        statistics = SplitStatistics()
        for example in examples:
            given = "split" in example
            split = example.setdefault("split", "") or self.split(example)
            example["split"] = split
            tally.counts[split] += 1
            statistics.add(example, given=given)
            yield example
        for sentence in [*statistics.classes_missing(), *self._far_off(statistics)]:
            tally.warn(sentence)

    def _far_off(self, statistics: SplitStatistics) -> Iterator[str]:
        """Warnings about shares far from those set: many examples have one prompt, or there are too few examples."""
        count = sum(statistics.hashed.values())
        for name, share in (("test", self.test), ("validation", self.validation)):
            held_out = statistics.hashed[name]
            deviation = math.sqrt(share * (1 - share) * count)
            if count >= ENOUGH and abs(held_out - share * count) > FAR_OFF * deviation + 1:
                way_out = "set data.splits.by=content" if self.by == "prompt" else "look at the data"
                yield f"{held_out} of {count} examples fell to {name}, where the share is set to {share:.0%}: {way_out}"
            elif share > 0 and held_out == 0 and count:
                yield f"None of {count} examples fell to {name}; there may be too few for a share of {share:.0%}"


@dataclass(frozen=True)
class GivenSplits:
    """Keep the splits that the source gives; all other examples are trained on."""

    def __call__(self, examples: Iterable[Example], tally: Tally) -> Iterator[Example]:
        statistics = SplitStatistics()
        for example in examples:
            example["split"] = example.get("split") or "train"
            tally.counts[example["split"]] += 1
            statistics.add(example, given=True)
            yield example
        for sentence in statistics.classes_missing():
            tally.warn(sentence)


class SplitStatistics:
    """The labels of each split (the first 1,000), and the number of examples that the hash has assigned to it."""

    def __init__(self) -> None:
        self.hashed: Counter[str] = Counter()
        self.labels: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, example: Example, *, given: bool) -> None:
        self.hashed[example["split"]] += not given
        if "label" in example and len(self.labels[example["split"]]) < MOST_LABELS:
            self.labels[example["split"]].add(example["label"])

    def classes_missing(self) -> Iterator[str]:
        every = set().union(*self.labels.values())
        for split in sorted(self.labels):
            if missing := sorted(every - self.labels[split]):
                named = ", ".join(repr(label) for label in missing[:5]) + (", …" if len(missing) > 5 else "")
                yield f"The split {split} has no example of {len(missing)} of {len(every)} classes: {named}"
