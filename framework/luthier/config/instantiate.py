"""From a checked node of a recipe to the part that it names."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import Any

from omegaconf import OmegaConf

from luthier.contracts.trust import Trust
from luthier.errors import PluginError
from luthier.fetch.extras import refuse_absent

TARGET, PARTIAL = "_target_", "_partial_"


def instantiate(node: Any, *parts: Any, trust: Trust = Trust()) -> Any:  # noqa: B008 - it is frozen
    """Call the node's target with the parts in front and its settings as keywords; nested nodes are built first.

    The node must come from `Composer.check` or `stored_recipe`, which have seen every name in it. Settings arrive as
    plain values, and text as it is: what looks like an interpolation by now is none. Every target, nested ones too,
    whose positional parameters begin with `trust` is handed it first. RecipeError where a package that a target needs
    is not installed; errors of the target are raised as they are.
    """
    plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    return _built(plain, parts, trust)


def _built(node: Any, parts: tuple[Any, ...], trust: Trust) -> Any:
    if isinstance(node, Mapping):
        settings = {str(key): _built(value, (), trust) for key, value in node.items() if key not in (TARGET, PARTIAL)}
        if TARGET not in node:
            return settings
        target = _named(str(node[TARGET]))
        parts = (trust, *parts) if _takes_trust(target) else parts
        return partial(target, *parts, **settings) if node.get(PARTIAL) else target(*parts, **settings)
    return [_built(one, (), trust) for one in node] if isinstance(node, (list, tuple)) else node


def _named(target: str) -> Any:
    module, _, name = target.rpartition(".")
    found = getattr(import_module(module), name, None)
    if found is None:
        raise PluginError(f"{target!r} is named by an option file, but {module} has no {name!r}.")
    refuse_absent(getattr(found, "needs", {}), target)  # a recipe that came with a run was composed elsewhere
    return found


def _takes_trust(target: Any) -> bool:
    try:
        first = next(iter(inspect.signature(target).parameters.values()), None)
    except (TypeError, ValueError):  # a class of C has no signature
        return False
    return first is not None and first.name == "trust" and first.kind is not first.KEYWORD_ONLY
