"""The scores of an evaluation and their comparison with those of another."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from luthier.contracts.scores import Score
from luthier.disk.seals import write_sealed_json
from luthier.disk.writing import replacing_folder
from luthier.errors import DataError
from luthier.evaluation.bootstrap import Reduction
from luthier.evaluation.measurement import Bootstrap, Difference, Measurement
from luthier.evaluation.memorised import Known, Memorised
from luthier.fetch.digests import sha256_of_file
from luthier.records.whole_scores import SCORES, STATISTICS, are_whole, read_scores


class NotWhole(DataError):  # noqa: N818 - read as `except NotWhole`
    """The scores of an evaluation are not there, or not what was written: they are to be measured again."""


@dataclass(frozen=True, slots=True)
class Generated:
    """A generated answer with its conversation and the reference."""

    conversation: list[dict[str, Any]]
    output: str
    reference: str


@dataclass
class Scores:
    """Measurements by name, sample generations, and counts of whatever was left out or cut.

    Names are plain for the set that comes first (`loss`, `perplexity`, `accuracy`), carry the set's name for further
    sets (`hard/loss`); `general_loss` and `general_perplexity` are of general text.
    """

    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    """Resamples, confidence and seed of the intervals."""
    measurements: dict[str, Measurement] = field(default_factory=dict)
    """Per-example statistics by name."""
    samples: list[Generated] = field(default_factory=list)
    """Some generated answers, each with its conversation and reference."""
    counts: dict[str, int] = field(default_factory=dict)
    """What was left out or cut, by name."""
    seconds: float = 0.0
    """Wall-clock time of the evaluation."""
    memorised: Memorised | None = None
    """What the model knew by heart before it was trained; None where that was not looked at."""

    def __iter__(self) -> Iterator[str]:
        """The names of the scores."""
        return iter(self.measurements)

    def __getitem__(self, name: str) -> Score:
        """The score of this name, with its interval."""
        return self.measurements[name].score(self.bootstrap)

    def items(self) -> Iterator[tuple[str, Score]]:
        """Names and scores, in the order in which they were measured."""
        return ((name, self[name]) for name in self)

    def set_aside_unscored(self) -> None:
        """Count measurements that have a value for no example instead of giving them one, such as a mean of nothing."""
        for name, measured in list(self.measurements.items()):
            if not measured.has_values:
                del self.measurements[name]
                self.counts[f"{name}: examples without a value"] = len(measured.statistics)

    def compare(self, after: Scores, *, only: Container[str] | None = None) -> dict[str, Difference]:
        """What changed from this evaluation to a later one of the same examples, for each score that both have.

        Raises RecipeError where a score was measured on other examples; `only` names those that are wanted.
        """
        return {
            name: Difference.between(self.measurements[name], after.measurements[name], self.bootstrap, name=name)
            for name in after
            if name in self.measurements and (only is None or name in only)
        }

    def as_json(self) -> dict[str, Any]:
        """Scores, counts and samples as plain values."""
        return {
            "scores": {name: asdict(score) for name, score in self.items()},
            "counts": self.counts,
            "samples": [asdict(sample) for sample in self.samples],
            "seconds": round(self.seconds, 3),
            **({"memorised": asdict(self.memorised)} if self.memorised else {}),
        }

    def save(self, folder: Path) -> None:
        """Write `scores.json` for people and `scores.safetensors` with the statistics that a comparison needs."""
        record = self.as_json() | {
            "bootstrap": asdict(self.bootstrap),
            "examples": {name: measured.examples for name, measured in self.measurements.items()},
        }
        statistics = {name: measured.statistics for name, measured in self.measurements.items()}
        with replacing_folder(folder) as temporary:
            save_file(statistics, temporary / STATISTICS)
            record["statistics"] = sha256_of_file(temporary / STATISTICS)
            write_sealed_json(temporary / SCORES, record, indent=2)

    @classmethod
    def load(cls, folder: Path, reductions: Mapping[str, Reduction]) -> Scores:
        """Read what `save` wrote; `Evaluation.reductions` says how statistics become values.

        Raises NotWhole where the folder does not hold what was written, and DataError where it holds a score that this
        evaluation does not know.
        """
        try:
            return cls._read(folder, reductions)
        except (OSError, SafetensorError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise NotWhole(f"{folder} holds no whole scores: {type(error).__name__}: {error}.") from error

    @classmethod
    def _read(cls, folder: Path, reductions: Mapping[str, Reduction]) -> Scores:
        record = read_scores(folder)
        if not are_whole(folder):
            raise ValueError(f"{SCORES} and {STATISTICS} are not of one evaluation")
        statistics = load_file(folder / STATISTICS)
        measurements = {}
        for name, digest in record["examples"].items():
            reduce = reductions.get(name) or reductions.get(name.rpartition("/")[2])
            if reduce is None:
                raise DataError(
                    f"The score {name!r} in {folder} is none of this evaluation's.",
                    hint="Evaluate with the recipe that the scores were made with.",
                )
            better = record["scores"][name]["better"]
            measurements[name] = Measurement(statistics[name], reduce, better, digest)
        return cls(
            Bootstrap(**record["bootstrap"]),
            measurements,
            [Generated(**sample) for sample in record["samples"]],
            record["counts"],
            record["seconds"],
            _memorised(record["memorised"]) if "memorised" in record else None,
        )


def _memorised(record: Mapping[str, Any]) -> Memorised:
    return Memorised(**{**record, "known": [Known(**one) for one in record["known"]]})
