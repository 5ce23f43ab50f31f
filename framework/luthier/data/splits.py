"""Which examples are trained on and which are held out."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from luthier.data.examples import content_key, prompt_key
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
MOST_LABELS = 1000
ENOUGH = 50
FAR_OFF = 6.0


HELD_OUT_FIRST = ("test", "validation", "train", None)
"""The order of reading several splits, so that what stands in two is taken out of training."""


class Splits(Protocol):
    """Give each example its `split`: train, validation or test."""

    def __call__(self, examples: Iterable[Example], tally: Tally) -> Iterator[Example]:
        """The same examples in the same order, each with `split`; warnings go to the tally."""


def split_named(name: object, where: str) -> str:
    """The split that a source means by a name of its own; DataError if that is none."""
    found = NAMES.get(str(name).strip().lower())
    if found is None:
        raise DataError(
            f"The column `split` says {name!r}, which is no split.",
            where=where,
            hint="Use train, validation or test, or rename the column: data.rename={split: part}.",
        )
    return found


@dataclass(frozen=True)
class HashSplits:
    """Hold out shares of the examples, chosen by the hash of their text, so that an example never changes sides.

    More rows, another order or another machine move nothing; a larger `test` only takes from train. `by` prompt keeps
    all answers to one prompt on one side; `by` content looks at the whole example, for sets in which many share a
    prompt. Where the source itself says a split, that holds.
    """

    test: float = 0.1
    """The share of examples in the test split."""
    validation: float = 0.0
    """The share of examples in the validation split."""
    by: Literal["prompt", "content"] = "prompt"

    def __post_init__(self) -> None:
        if min(self.test, self.validation) < 0 or self.test + self.validation > 1:
            raise RecipeError(
                f"The shares test {self.test} and validation {self.validation} do not leave a share for training.",
                where="data.splits",
            )

    def split(self, example: Example) -> str:
        """A pure function of the example's text."""
        key = {"prompt": prompt_key, "content": content_key}[self.by](example)
        place = int.from_bytes(key[:8], "big") / 2**64
        return "test" if place < self.test else "validation" if place < self.test + self.validation else "train"

    def __call__(self, examples: Iterable[Example], tally: Tally) -> Iterator[Example]:
        """The same examples in the same order, each with `split`; warnings go to the tally."""
        seen = Seen()
        for example in examples:
            given = "split" in example
            split = example.setdefault("split", "") or self.split(example)
            example["split"] = split
            tally.counts[split] += 1
            seen.add(example, given=given)
            yield example
        for sentence in [*seen.classes_missing(), *self._far_off(seen)]:
            tally.warn(sentence)

    def _far_off(self, seen: Seen) -> Iterator[str]:
        """Shares that chance does not explain: many examples have one prompt, or there are too few to hold any out."""
        count = sum(seen.hashed.values())
        for name, share in (("test", self.test), ("validation", self.validation)):
            found = seen.hashed[name]
            chance = math.sqrt(share * (1 - share) * count)
            if count >= ENOUGH and abs(found - share * count) > FAR_OFF * chance + 1:
                way_out = "set data.splits.by=content" if self.by == "prompt" else "look at the data"
                yield f"{found} of {count} examples fell to {name}, where {share:.0%} were asked for: {way_out}"
            elif share > 0 and found == 0 and count:
                yield f"None of {count} examples fell to {name}; there may be too few for a share of {share:.0%}"


@dataclass(frozen=True)
class GivenSplits:
    """Keep the splits that the source gives, and train on everything else: nothing is held out of it."""

    def __call__(self, examples: Iterable[Example], tally: Tally) -> Iterator[Example]:
        seen = Seen()
        for example in examples:
            example["split"] = example.get("split") or "train"
            tally.counts[example["split"]] += 1
            seen.add(example, given=True)
            yield example
        for sentence in seen.classes_missing():
            tally.warn(sentence)


class Seen:
    """What fell into each split: labels (the first 1,000), and how many examples the hash has placed."""

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
