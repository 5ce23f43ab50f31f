"""The terms of a comparison: one evaluation, one score and one budget for all contenders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from luthier.config.checks import settings_of
from luthier.config.fingerprint import recipe_hash
from luthier.errors import RecipeError

if TYPE_CHECKING:
    from luthier.config.compose import Composition
    from luthier.workflows.comparison.contenders import Contender

MISSING = "nothing"


@dataclass(frozen=True)
class Terms:
    """The score that is compared, the hash of the evaluation's settings, the budget as text (empty: none trains)."""

    score: str
    evaluation: str
    budget: str


def terms(contenders: list[Contender]) -> Terms:
    """RecipeError where two contenders differ in what must be the same."""
    first, *others = contenders
    trains = [one for one in contenders if _trains(one.composition)]
    for other in others:
        _same(first, other, _evaluated, "are measured in different ways", "Set it for all of them.")
    for other in trains[1:]:
        hint = "State one budget for all: trainer.max_steps=… trainer.epochs=… batch.size=… batch.length=… ."
        _same(trains[0], other, _spent, "have different budgets", hint)
    config = first.composition.config
    evaluation: Any = OmegaConf.to_container(config.evaluation)
    budget = _in_words(_spent(trains[0].composition)) if trains else ""
    if any(one.composition.choices.get("trainer/stop", "never") != "never" for one in trains):
        budget += ", or less where trainer.stop ends a training"
    return Terms(str(config.score), recipe_hash(evaluation), budget)


def _trains(composition: Composition) -> bool:
    return "fit" in composition.config.stages


def _evaluated(composition: Composition) -> dict[str, Any]:
    config: Any = OmegaConf.to_container(composition.config)
    return {"score": config["score"], **_flat({"evaluation": config["evaluation"]})}


def _spent(composition: Composition) -> dict[str, Any]:
    """What bounds the tokens that are trained on: passes over the data, or steps of so many tokens."""
    config = composition.config
    budget: dict[str, Any] = {"trainer.epochs": config.trainer.epochs, "trainer.max_steps": config.trainer.max_steps}
    if config.trainer.max_steps is not None:
        budget |= {f"batch.{name}": config.batch[name] for name in ("size", "length", "packing")}
    return budget


def _in_words(budget: Mapping[str, Any]) -> str:
    epochs, steps = budget["trainer.epochs"], budget["trainer.max_steps"]
    passes = f"{epochs} {'epoch' if epochs == 1 else 'epochs'} of the training split"
    if steps is None:
        return passes
    unit = f"blocks of {budget['batch.length']} tokens" if budget["batch.packing"] else "examples"
    return f"{steps} steps of {budget['batch.size']} {unit}, at most {passes}"


def _same(first: Contender, other: Contender, of: Any, problem: str, hint: str) -> None:
    one, two = of(first.composition), of(other.composition)
    for path in dict.fromkeys([*one, *two]):
        if one.get(path, MISSING) != two.get(path, MISSING):
            detail = f"{path} is {one.get(path, MISSING)!r} in the first and {two.get(path, MISSING)!r} in the other"
            message = f"{first.name} and {other.name} {problem}: {detail}."
            raise RecipeError(message, where=path, hint=hint)


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    """Every value below a mapping by its path, the code's own names included."""
    values: dict[str, Any] = {}
    for path in settings_of(config):
        node: Any = config
        for word in path.split("."):
            node = node[word]
        if isinstance(node, dict):
            values |= {f"{path}.{key}": value for key, value in node.items() if key.startswith("_")}
        else:
            values[path] = node
    return values
