"""The evaluation examples of a comparison, fixed by their hash before anything runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from safetensors.numpy import load_file

from luthier.disk.reading import read_json
from luthier.errors import DataError, RecipeError
from luthier.evaluation.evaluation import examples_digest, tokens_digest
from luthier.records.folder import RunFolder
from luthier.workflows.parts import part, without_quarantine

if TYPE_CHECKING:
    from luthier.config.compose import Composition
    from luthier.contracts.examples import Example
    from luthier.workflows.comparison.contenders import Contender

GENERAL = "general_"  # the prefix of scores on general text


@dataclass(frozen=True)
class ExampleLock:
    """The split, the number of its examples that are evaluated, and the digest of their content in order."""

    split: str
    count: int
    examples: str

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


def lock_examples(contenders: list[Contender]) -> ExampleLock:
    """Read the data of every contender; DataError without examples to evaluate, RecipeError where they differ."""
    read: dict[str, ExampleLock] = {}
    first: tuple[str, ExampleLock] | None = None
    for contender in contenders:
        config = contender.composition.config
        data: Any = without_quarantine(OmegaConf.to_container(config.data))
        name = json.dumps(data, sort_keys=True, default=str)
        locked = read[name] = read.get(name) or _lock(contender.composition)
        first = first or (contender.name, locked)
        if locked != first[1]:
            message = (
                f"{contender.name} would be measured on {locked.count} examples of {locked.split} ({locked.examples}), "
                f"and {first[0]} on {first[1].count} of {first[1].split} ({first[1].examples})."
            )
            raise RecipeError(message, where="data", hint="Give all of them the same data: data=… .")
    assert first is not None
    return first[1]


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
    return ExampleLock(split, len(chosen), examples_digest(chosen))
