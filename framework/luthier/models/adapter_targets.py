"""Keep what PEFT adapts within the text tower of a network that reads more than text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from torch import nn

from luthier.errors import RecipeError
from luthier.models.modalities import is_named, other_modalities, within

if TYPE_CHECKING:
    from peft import PeftConfig

ALL_LINEAR = "all-linear"


def within_text(config: PeftConfig, network: nn.Module) -> PeftConfig:
    """The configuration, set so that it adapts no tower or projector that no text passes through.

    Modules there are adapted where an entry of `target_modules` contains the name of that part, such as `vision_tower`;
    RecipeError for an entry that fits nothing else and does not name it. What is left out stands in the configuration,
    so that plain PEFT adapts the same modules.
    """
    targets, parts = getattr(config, "target_modules", None), other_modalities(network)
    if not targets or not parts:
        return config
    modules = [name for name, _ in network.named_modules()]
    wanted = [] if targets == ALL_LINEAR else [targets] if isinstance(targets, str) else sorted(targets)
    _check_reach(wanted, modules, parts, is_pattern=isinstance(targets, str))
    left_out = [part for part in parts if not is_named(part, wanted)]
    named = [part for part in parts if part not in left_out]
    by_accident = [] if isinstance(targets, str) else list(_not_named(wanted, modules, named))
    _leave_out(config, network, left_out, by_accident)
    return config


def _leave_out(config: Any, network: nn.Module, parts: list[str], single: list[str]) -> None:
    """Write what stays as it is into the configuration; those without `exclude_modules` list what is adapted."""
    if hasattr(config, "exclude_modules"):
        whole = [rf"{re.escape(part)}(\..*)?" for part in parts]
        config.exclude_modules = "|".join([*whole, *map(re.escape, single)]) or None
        return
    modules = {name: module for name, module in network.named_modules() if not within(name, [*parts, *single])}
    if config.target_modules == ALL_LINEAR:
        head = network.get_output_embeddings()  # type: ignore[operator]
        config.target_modules = {name for name, one in modules.items() if type(one) is nn.Linear and one is not head}
    elif not isinstance(config.target_modules, str):
        config.target_modules = {name for name in modules if any(_ends(name, one) for one in config.target_modules)}


def _check_reach(wanted: list[str], modules: list[str], parts: list[str], *, is_pattern: bool) -> None:
    fits = re.fullmatch if is_pattern else lambda end, name: _ends(name, end)
    for one in wanted:
        reached = [name for name in modules if fits(one, name)]
        outside = [part for part in parts if any(within(name, [part]) for name in reached)]
        if reached and all(within(name, parts) for name in reached) and not any(is_named(p, [one]) for p in outside):
            tower = outside[0].rpartition(".")[2]
            raise RecipeError(
                f"{one!r} fits modules of {' and '.join(outside)} alone, which no text passes through.",
                where="adaptation.targets",
                hint=f"Choose modules of the text tower, or name the part that you mean: '.*{tower}.*{one}'.",
            )


def _not_named(wanted: Iterable[str], modules: Iterable[str], parts: list[str]) -> Iterable[str]:
    """The modules of parts that only an entry fits which does not name their part."""
    for name in modules:
        part = next((part for part in parts if within(name, [part])), None)
        fitting = [one for one in wanted if _ends(name, one)] if part else []
        if part and fitting and not any(is_named(part, [one]) for one in fitting):
            yield name


def _ends(name: str, end: str) -> bool:
    """Whether PEFT takes a module of this name for one that is listed as `end`."""
    return name == end or name.endswith(f".{end}")
