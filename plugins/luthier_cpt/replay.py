"""Rehearsal: general text is replayed between that of a domain, against forgetting."""

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
    """All examples of `domain`, and training examples of `replay` up to the fraction `share` of the training text.

    The fraction is of characters, as documents differ in length. Where `replay` ends it starts again, counted as
    `replay: repeated`; its held-out examples are not used. Held-out examples are those of the domain alone. The field
    `source` of an example is domain or replay.
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
        general, missing = self._general(tally), 0.0  # characters of replay still to come
        for example in self.domain:
            yield self._counted(example, "domain", tally)
            if example["split"] != "train":
                continue
            missing += len(example_text(example)) * self.share / (1 - self.share)
            while missing > 0:
                replayed = next(general)
                missing -= len(example_text(replayed))
                yield self._counted(replayed, "replay", tally)

    def _general(self, tally: Tally) -> Iterator[Example]:
        """The training examples of `replay`, repeated without end."""
        round_name = "given"
        while True:
            is_empty = True
            for example in self.replay:
                if example["split"] == "train" and example_text(example):
                    is_empty = False
                    tally.counts[f"replay: {round_name}"] += 1
                    yield example
            if is_empty:
                raise DataError(
                    "The text to replay has no training example.", where="data.replay", hint="Hold out less of it."
                )
            round_name = "repeated"

    def _counted(self, example: Example, name: str, tally: Tally) -> Example:
        tally.counts["examples"] += 1
        tally.counts[example["split"]] += 1
        tally.counts[f"{name}: characters"] += len(example_text(example)) * (example["split"] == "train")
        return {**example, "source": name}

    @property
    def counts(self) -> Mapping[str, int]:
        """The domain's own, those of `replay` under its name, `replay: given` and `repeated`, and the characters."""
        total = Counter({name: count for name, count in self.domain.counts.items() if name not in _TOTALS})
        if self.share:
            replayed = self.replay.counts.items()
            total.update({f"replay: {name}": count for name, count in replayed if name not in _TOTALS})
        total.update(self.tally.counts)
        return {name: count for name, count in sorted(total.items()) if count}

    @property
    def warnings(self) -> list[str]:
        """Those of the domain, and of the text to replay where it is read."""
        replayed = self.replay.warnings if self.share else []
        return [*self.domain.warnings, *(f"replay: {warning}" for warning in replayed)]

    def fingerprint(self) -> dict[str, Any]:
        """The fingerprints of both, the share and the counts; the licences of both, where both are known."""
        fingerprints = {"domain": self.domain.fingerprint()} | (
            {"replay": self.replay.fingerprint()} if self.share else {}
        )
        licences = sorted({str(one.get("licence") or "") for one in fingerprints.values()})
        licence = {"licence": " AND ".join(licences)} if all(licences) else {}
        return {**fingerprints, **licence, "share": self.share, "counts": dict(self.counts)}

    def state(self) -> Any:
        """The states of both; None where one is unknown."""
        states = [source_state(source) for source in (self.domain, self.replay)]
        return None if None in states else states

    def quarantine_into(self, folder: Path) -> None:
        """Give each its own folder for quarantined rows."""
        self.domain.quarantine_into(folder / "domain")
        self.replay.quarantine_into(folder / "replay")


_TOTALS = ("examples", "train", "validation", "test")
