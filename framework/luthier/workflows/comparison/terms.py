"""The terms of a comparison: one evaluation, one score and one budget for all contenders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from luthier.config.checks import settings_of
from luthier.config.fingerprint import recipe_hash
from luthier.config.importing import named
from luthier.errors import RecipeError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from luthier.config.compose import Composition
    from luthier.workflows.comparison.contenders import Contender

MISSING = "nothing"
PAIR = ("the first", "the other")
ONE_BUDGET = "State one budget for all: trainer.max_steps=… trainer.epochs=… batch.size=… batch.length=… ."
IDLE_WHERE_ZERO = {"samples": {"sample_tokens"}, "general_examples": {"general", "general_length"}}
"""Settings of the evaluation that change nothing where the one before them is 0."""
OF_TEXT = {
    f"evaluation.{name}" for name in ("samples", "sample_tokens", "general", "general_examples", "general_length")
}
"""Settings of the evaluation that change nothing for a network that generates no text, such as a classifier."""


@dataclass(frozen=True)
class TermDifference:
    """What two contenders differ in and must not: a sentence, the first setting and the way out."""

    text: str
    where: str
    hint: str


@dataclass(frozen=True)
class Terms:
    """The score that is compared, the hash of the evaluation's settings, the budget as text (empty: none trains)."""

    score: str
    evaluation: str
    budget: str


def terms(contenders: list[Contender]) -> Terms:
    """RecipeError that names all in which contenders differ and must not."""
    refuse(differences(contenders))
    trains = [one for one in contenders if _trains(one.composition)]
    budget = _in_words(_spent(trains[0].composition)) if trains else ""
    if any(one.composition.choices.get("trainer/stop", "never") != "never" for one in trains):
        budget += ", or less where trainer.stop ends a training"
    config = contenders[0].composition.config
    return Terms(str(config.score), recipe_hash(_what_counts(config)), budget)


def refuse(problems: Sequence[TermDifference]) -> None:
    """RecipeError with every problem and every way out; nothing where there is none."""
    if problems:
        hints = " ".join(dict.fromkeys(one.hint for one in problems if one.hint))
        raise RecipeError(" ".join(one.text for one in problems), where=problems[0].where, hint=hints)


def differences(contenders: list[Contender]) -> list[TermDifference]:
    """All in which a contender differs from the first, and a trained one from the first that is trained."""
    trains = [one for one in contenders if _trains(one.composition)]
    measured = _differences(contenders, _evaluated, "are measured in different ways", "Set it for all of them.")
    return [*measured, *_differences(trains, _spent, "have different budgets", ONE_BUDGET)]


def _trains(composition: Composition) -> bool:
    return "fit" in composition.config.stages


def _evaluated(composition: Composition) -> dict[str, Any]:
    return {"score": composition.config["score"], **_flat({"evaluation": _what_counts(composition.config)})}


def _what_counts(config: DictConfig) -> dict[str, Any]:
    """The evaluation's settings without those that change nothing, such as the length of samples when there is none."""
    evaluation: Any = OmegaConf.to_container(config.evaluation)
    for switch, idle in IDLE_WHERE_ZERO.items():
        if not evaluation.get(switch):
            evaluation = {name: value for name, value in evaluation.items() if name not in idle}
    return dict(evaluation)


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


def _differences(contenders: Sequence[Contender], of: Any, problem: str, hint: str) -> list[TermDifference]:
    """One with every setting that is not the same for all, and who has which value; none where all are the same."""
    values = {one.name: of(one.composition) for one in contenders}
    differ = _differing(values)
    if any(_is_of_text(path) for path in differ):  # only then is a method's code imported
        silent = [one.name for one in contenders if not named(one.composition.config.method["_target_"]).is_generative]
        differ = _differing(values, silent)
    if not differ:
        return []
    details = "; ".join(f"{path} is {_who_has(found, len(values))}" for path, found in differ.items())
    who = " and ".join(values) if len(values) == len(PAIR) else f"The {len(values)} contenders"
    return [TermDifference(f"{who} {problem}: {details}.", next(iter(differ)), hint)]


def _differing(values: Mapping[str, Mapping[str, Any]], silent: Sequence[str] = ()) -> dict[str, dict[str, list[str]]]:
    """Settings with more than one value, and who has which; `silent` contenders generate no text."""
    paths = dict.fromkeys(path for one in values.values() for path in one)
    by_value = {
        path: _by_value(
            path, {name: one for name, one in values.items() if name not in silent or not _is_of_text(path)}
        )
        for path in paths
    }
    return {path: found for path, found in by_value.items() if len(found) > 1}


def _is_of_text(path: str) -> bool:
    return any(path == one or path.startswith(f"{one}.") for one in OF_TEXT)


def _by_value(path: str, values: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """The contenders by the value that they have of a setting."""
    found: dict[str, list[str]] = {}
    for name, settings in values.items():
        found.setdefault(repr(settings.get(path, MISSING)), []).append(name)
    return found


def _who_has(found: Mapping[str, list[str]], contenders: int) -> str:
    if contenders == len(PAIR):
        return " and ".join(f"{value} in {which}" for value, which in zip(found, PAIR, strict=True))
    return ", ".join(f"{value} in {shortened(names)}" for value, names in found.items())


def shortened(names: Sequence[str], most: int = 2) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


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
