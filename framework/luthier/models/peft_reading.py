"""How PEFT reads a configuration: which names fit a module, which it takes for experts, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from torch import nn

from luthier.errors import RecipeError
from luthier.models.wrappers import unwrapped

if TYPE_CHECKING:
    from peft import PeftConfig


def refused_by_peft(error: ValueError | TypeError, network: nn.Module) -> RecipeError:
    """What PEFT says of a configuration that it does not put on a network, in one line."""
    said = re.sub(r"Target module (\w+)\(.*?\) is not supported", r"\1 is not supported", " ".join(str(error).split()))
    stop = "" if said.endswith((".", "!")) else "."
    return RecipeError(
        f"PEFT refuses to adapt {type(unwrapped(network)).__name__} so: {said}{stop}", where="adaptation"
    )


def refuse_as_peft(config: PeftConfig, network: nn.Module, name: str) -> None:
    """RecipeError with PEFT's own reason, where PEFT knows that it cannot adapt a module of this name."""
    from peft.tuners.tuners_utils import BaseTuner

    check = getattr(BaseTuner, "_check_target_module_compatiblity", None)
    try:
        if check is not None:
            check(None, config, network, name.rpartition(".")[2])
    except ValueError as error:
        raise refused_by_peft(error, network) from error


def short_names(names: Iterable[str]) -> set[str]:
    """The last words of names, and the word before where the last is a number."""
    endings = ((name, re.search(r"[^.]*[^.\d][^.]*(\.\d+)*$", name)) for name in names)
    return {end.group() if end else name for name, end in endings}


def patterns(names: set[str], *, besides: set[str]) -> list[str]:
    r"""Regular expressions that fit names in every layer, `layers\.\d+\.mlp\.gate`, or alone where others would fit."""
    shorter = {name: re.sub(r"(?<=\\\.)\d+(?=\\\.)", r"\\d+", re.escape(name)) for name in names}
    exact = {one for one in shorter.values() if any(re.fullmatch(one, other) for other in besides)}
    return sorted({re.escape(name) if one in exact else one for name, one in shorter.items()})


def taken_for_experts(config: Any, network: nn.Module, names: Iterable[str]) -> set[str]:
    """The names that PEFT takes for experts of transformers 4, so that it would adapt something else by them."""
    return set(_converted(config, network, names)) if getattr(config, "peft_type", None) == "LORA" else set()


def _converted(config: Any, network: nn.Module, names: Iterable[str]) -> Iterator[str]:
    try:
        from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers
    except ImportError:  # another version of PEFT, which takes names as they are
        return
    for name in names:
        pattern = isinstance(config.target_modules, str) and config.target_modules == name
        probe = type(config)(r=1, target_modules=name if pattern else [name])
        try:
            convert_peft_config_for_transformers(probe, model=network, conversions=None)
        except ValueError:  # the name of one of two matrices that are one now
            yield name
        else:
            if probe.target_modules not in (name, {name}):
                yield name


def ends_with(name: str, end: str) -> bool:
    """Whether PEFT takes a module of this name for one that is listed as `end`."""
    return name == end or name.endswith(f".{end}")
