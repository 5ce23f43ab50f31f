"""The examples that all contenders are measured on, named by their hash before anything runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from safetensors.numpy import load_file

from luthier.errors import DataError, RecipeError
from luthier.evaluation.evaluation import digest_of, digest_of_tokens
from luthier.records.folder import RunFolder
from luthier.workflows.parts import part, without_quarantine

if TYPE_CHECKING:
    from luthier.config.compose import Composition
    from luthier.contracts.examples import Example
    from luthier.workflows.comparison.contenders import Contender

GENERAL = "general_"  # how scores on general text begin


@dataclass(frozen=True)
class Lock:
    """The split, how many of its examples are measured on, and the hash of what they say, in order."""

    split: str
    count: int
    examples: str

    def refuse_others(self, who: str, run: Path) -> None:
        """RecipeError where a run has measured on other examples than these."""
        place = RunFolder(run).scores / "after"
        digests: dict[str, str] = json.loads((place / "scores.json").read_text(encoding="utf-8"))["examples"]
        statistics = load_file(place / "scores.safetensors")
        for name, digest in digests.items():
            of_the_set = not name.startswith(GENERAL) and "/" not in name
            if of_the_set and digest not in (self.examples, digest_of_tokens(self.examples, statistics[name])):
                message = f"{who} measured its {name} on other examples than the {self.count} of this comparison."
                raise RecipeError(message, where=str(run), hint="Give all of them the same data.")


def lock(contenders: list[Contender]) -> Lock:
    """Read the data of each; DataError where there is none to measure on, RecipeError where it is not the same."""
    read: dict[str, Lock] = {}
    first: tuple[str, Lock] | None = None
    for contender in contenders:
        config = contender.composition.config
        data: Any = without_quarantine(OmegaConf.to_container(config.data))
        name = json.dumps(data, sort_keys=True, default=str)
        found = read[name] = read.get(name) or _lock(contender.composition)
        first = first or (contender.name, found)
        if found != first[1]:
            message = (
                f"{contender.name} would be measured on {found.count} examples of {found.split} ({found.examples}), "
                f"and {first[0]} on {first[1].count} of {first[1].split} ({first[1].examples})."
            )
            raise RecipeError(message, where="data", hint="Say the data for all of them: data=… .")
    assert first is not None
    return first[1]


def _lock(composition: Composition) -> Lock:
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
    return Lock(split, len(chosen), digest_of(chosen))
