"""The resolved recipe that a job is made of: that of a run, or one composed from answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.api import RecipeError

if TYPE_CHECKING:
    from luthier.api import Call

METHODS = {
    ("luthier_sft", "SupervisedFineTuning"): "sft",
    ("luthier_cpt", "ContinuedPretraining"): "cpt",
    ("luthier_distillation", "Distillation"): "distillation",
    ("luthier_reward", "Grpo"): "rft",
}
"""The kind of job by the package and the class of a recipe's method."""


def resolved_recipe(call: Call, words: Sequence[str], config_dir: str | None) -> dict[str, Any]:
    """All settings as plain values; RecipeError where a folder holds no run, or the answers do not compose."""
    if len(words) == 1 and Path(words[0]).is_dir():
        return _of_run(Path(words[0]))
    if len(words) == 1 and "=" not in words[0]:
        raise RecipeError(
            f"There is no run {words[0]}.",
            where=words[0],
            hint="Name the folder of a run, or answers: recipe=lora_sft.",
        )
    from omegaconf import OmegaConf

    composition = call.composer(config_dir).compose(words)
    plain: Any = OmegaConf.to_container(composition.config)
    return dict(plain)


def kind_of_job(recipe: Mapping[str, Any]) -> str:
    """sft, rft, cpt or distillation; RecipeError for a recipe that the service has no job for."""
    if "fit" not in recipe.get("stages", ()):
        raise RecipeError(
            "The recipe trains nothing, so there is no job for it.",
            where="stages",
            hint="A prompt is carried over by writing it into the data: luthier bedrock convert.",
        )
    target = str(recipe["method"].get("_target_"))
    if package_and_class(target) not in METHODS:
        raise RecipeError(
            f"The method {target} cannot be carried over: CreateModelCustomizationJob has fine-tuning, reinforcement "
            "fine-tuning, continued pre-training and distillation, and none of them is this one.",
            where="method",
            hint="Say method=sft, method=grpo, method=cpt or method=distill.",
        )
    return METHODS[package_and_class(target)]


def package_and_class(target: str) -> tuple[str, str]:
    """The first and the last word of a dotted name."""
    return target.split(".")[0], target.rpartition(".")[2]


def setting(recipe: Mapping[str, Any], path: str) -> Any:
    """A value by its path; None where the recipe has none."""
    node: Any = recipe
    for word in path.split("."):
        node = node.get(word) if isinstance(node, Mapping) else None
    return node


def _of_run(folder: Path) -> dict[str, Any]:
    import yaml

    places = [folder / "resolved.yaml", folder / "artifact" / "resolved.yaml"]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise RecipeError("The folder holds no run: it has no resolved.yaml.", where=str(folder))
    try:
        read = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError("The recipe of the run cannot be read.", where=str(file)) from error
    if not isinstance(read, dict) or not isinstance(read.get("method"), dict):
        raise RecipeError("The recipe of the run has no method.", where=str(file))
    return read
