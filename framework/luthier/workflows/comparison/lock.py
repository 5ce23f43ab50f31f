"""The evaluation examples of a comparison, fixed by their hash before anything runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from safetensors.numpy import load_file

from luthier.disk.reading import read_json
from luthier.errors import DataError, LuthierError, RecipeError
from luthier.evaluation.digests import examples_digest, tokens_digest
from luthier.records.folder import RunFolder
from luthier.workflows.comparison.terms import TermDifference, Terms, differences, refuse, shortened, terms
from luthier.workflows.parts import part, without_quarantine

if TYPE_CHECKING:
    from luthier.config.compose import Composition
    from luthier.contracts.examples import Example
    from luthier.workflows.comparison.contenders import Contender

GENERAL = "general_"  # the prefix of scores on general text


@dataclass(frozen=True)
class ExampleLock:
    """The split, the number of its examples that are evaluated, and the digest of their content in order.

    Of several data splits these are of all, and `folds` has each.
    """

    split: str
    count: int
    examples: str
    trained: int = field(default=0, compare=False)
    """The examples of the training split; of several data splits, of the first."""
    folds: tuple[ExampleLock, ...] = ()

    @property
    def held_out(self) -> float:
        """The ratio of evaluated to training examples, of one data split."""
        return self.count / max(1, len(self.folds)) / max(1, self.trained)

    def of_run(self, number: int, runs: int) -> ExampleLock:
        """That of one of a contender's runs, which come split by split."""
        return self.folds[number * len(self.folds) // runs] if self.folds else self

    @classmethod
    def of(cls, folds: Sequence[ExampleLock]) -> ExampleLock:
        """Of several data splits; the lock itself where there is one."""
        if len(folds) == 1:
            return folds[0]
        digest = hashlib.sha256("".join(one.examples for one in folds).encode()).hexdigest()[:16]
        return cls(folds[0].split, sum(one.count for one in folds), digest, folds[0].trained, tuple(folds))

    def refuse_others(self, who: str, run: Path) -> None:
        """RecipeError where a run was evaluated on other examples."""
        place = RunFolder(run).scores / "after"
        digests: dict[str, str] = read_json(place / "scores.json")["examples"]
        statistics = load_file(place / "scores.safetensors")
        for name, digest in digests.items():
            of_the_set = not name.startswith(GENERAL) and "/" not in name
            if of_the_set and digest not in (self.examples, tokens_digest(self.examples, statistics[name])):
                message = f"{who} measured its {name} on other examples than the {self.count} of this comparison."
                raise RecipeError(message, where=str(run), hint="Give all of them the same data.")


def lock_examples(contenders: list[Contender], splits: int = 1) -> ExampleLock:
    """Read the data of every contender; DataError without examples to evaluate, RecipeError where they differ."""
    locked, problems = read_locks(contenders, splits)
    refuse(problems)
    return locked


def read_locks(contenders: list[Contender], splits: int = 1) -> tuple[ExampleLock, list[TermDifference]]:
    """The examples of the first contender, and who would be measured on others."""
    read: dict[str, ExampleLock] = {}
    by_contender: dict[str, ExampleLock] = {}
    for contender in contenders:
        folds = []
        for run in contender.runs[:: len(contender.runs) // splits]:
            data: Any = without_quarantine(OmegaConf.to_container(run.composition.config.data))
            name = json.dumps(data, sort_keys=True, default=str)
            read[name] = read.get(name) or _lock(run.composition)
            folds.append(read[name])
        by_contender[contender.name] = ExampleLock.of(folds)
    (first, expected), *others = by_contender.items()
    by_lock: dict[ExampleLock, list[str]] = {}
    for name, locked in others:
        by_lock.setdefault(locked, []).append(name)
    problems = [
        TermDifference(
            f"{shortened(names)} would be measured on {locked.count} examples of {locked.split} ({locked.examples}), "
            f"and {first} on {expected.count} of {expected.split} ({expected.examples}).",
            "data",
            "Give all of them the same data: data=… .",
        )
        for locked, names in by_lock.items()
        if locked != expected
    ]
    return expected, problems


def agree(contenders: list[Contender], splits: int = 1) -> tuple[Terms, ExampleLock]:
    """The terms of a comparison and its examples; RecipeError that names at once all that differs and must not.

    Raises DataError without examples to evaluate.
    """
    problems = differences(contenders)
    try:
        locked, of_data = read_locks(contenders, splits)
    except LuthierError as error:
        if not problems:
            raise
        refuse([*problems, TermDifference(str(error), "", "")])
        raise
    refuse([*problems, *of_data])
    return terms(contenders), locked


def _lock(composition: Composition) -> ExampleLock:
    """What the run of a recipe would be measured on."""
    source = part(composition.config, composition.trust, "data")
    evaluation = part(composition.config, composition.trust, "evaluation")
    by_split: dict[str, list[Example]] = {}
    for example in source:
        by_split.setdefault(example.get("split", "train"), []).append(example)
    split = "test" if by_split.get("test") else "validation"
    chosen = evaluation.choose(by_split.get(split, []))
    if not chosen:
        raise DataError("The data has no example to measure on.", hint="Hold some out: data.splits.test=0.1.")
    return ExampleLock(split, len(chosen), examples_digest(chosen), len(by_split.get("train", [])))
