"""General text between that of a domain, so that what a model knew stays trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.api import DataError, RecipeError, Tally, example_text, source_state

if TYPE_CHECKING:
    from luthier.api import Example, Source


@dataclass(kw_only=True)
class Replayed:
    """All examples of `domain`, and training examples of `replay` until they are `share` of what is trained on.

    The share is of characters, as documents differ in length. Where `replay` runs out it starts again, counted as
    `replay: repeated`; what it holds out is not used. Held-out examples are those of the domain alone. `source` of an
    example says which of the two it is of.
    """

    domain: Source
    replay: Source
    share: float = 0.1

    tally = Tally()

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise RecipeError(f"A share of {self.share} leaves no room for the domain.", where="data.share")

    def __iter__(self) -> Iterator[Example]:
        tally = self.tally = Tally()
        general, owed = self._general(tally), 0.0
        for example in self.domain:
            yield self._counted(example, "domain", tally)
            if example["split"] != "train":
                continue
            owed += len(example_text(example)) * self.share / (1 - self.share)
            while owed > 0:
                replayed = next(general)
                owed -= len(example_text(replayed))
                yield self._counted(replayed, "replay", tally)

    def _general(self, tally: Tally) -> Iterator[Example]:
        """Training examples without end."""
        again = ""
        while True:
            found = False
            for example in self.replay:
                if example["split"] == "train" and example_text(example):
                    found = True
                    tally.counts[f"replay: {again or 'given'}"] += 1
                    yield example
            if not found:
                raise DataError(
                    "The text to replay has no training example.", where="data.replay", hint="Hold out less of it."
                )
            again = "repeated"

    def _counted(self, example: Example, name: str, tally: Tally) -> Example:
        tally.counts["examples"] += 1
        tally.counts[example["split"]] += 1
        tally.counts[f"{name}: characters"] += len(example_text(example)) * (example["split"] == "train")
        return {**example, "source": name}

    @property
    def counts(self) -> Mapping[str, int]:
        """The domain's own, those of `replay` under its name, `replay: given` and `repeated`, and the characters."""
        total = Counter({name: count for name, count in self.domain.counts.items() if name not in _OURS})
        if self.share:
            theirs = self.replay.counts.items()
            total.update({f"replay: {name}": count for name, count in theirs if name not in _OURS})
        total.update(self.tally.counts)
        return {name: count for name, count in sorted(total.items()) if count}

    @property
    def warnings(self) -> list[str]:
        """Those of the domain, and of the text to replay where it is read."""
        return [*self.domain.warnings, *(f"replay: {said}" for said in (self.replay.warnings if self.share else []))]

    def fingerprint(self) -> dict[str, Any]:
        """The fingerprints of both, the share and the counts; the licences of both, where both are known."""
        each = {"domain": self.domain.fingerprint()} | ({"replay": self.replay.fingerprint()} if self.share else {})
        licences = sorted({str(of_one.get("licence") or "") for of_one in each.values()})
        licence = {"licence": " AND ".join(licences)} if all(licences) else {}
        return {**each, **licence, "share": self.share, "counts": dict(self.counts)}

    def state(self) -> Any:
        """The states of both; None where one cannot be told."""
        states = [source_state(source) for source in (self.domain, self.replay)]
        return None if None in states else states

    def quarantine_into(self, folder: Path) -> None:
        """Give both a folder of their own for rows that they set aside."""
        self.domain.quarantine_into(folder / "domain")
        self.replay.quarantine_into(folder / "replay")


_OURS = ("examples", "train", "validation", "test")
