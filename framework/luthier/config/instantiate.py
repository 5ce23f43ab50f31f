"""From a checked node of a recipe to the part that it names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from omegaconf import OmegaConf

from luthier.config.importing import named
from luthier.config.real_signature import as_received, as_refusal
from luthier.config.target import Target
from luthier.contracts.trust import Trust
from luthier.errors import LuthierError
from luthier.fetch.extras import refuse_absent
from luthier.plugins.blame import blamed

TARGET, PARTIAL = "_target_", "_partial_"


def instantiate(
    node: Any,
    *parts: Any,
    trust: Trust = Trust(),  # noqa: B008 - it is frozen
    made: dict[str, Any] | None = None,
) -> Any:
    """Call the node's target with the parts in front and its settings as keywords; nested nodes are built first.

    The node must come from `Composer.check` or `stored_recipe`, which have seen every name in it. Settings arrive as
    plain values (members of an Enum where the target expects those), and text as it is: what looks like an
    interpolation by now is none. Every target, nested ones too, whose positional parameters begin with `trust` is
    handed it first. RecipeError for what the target's real signature does not take, and where a package that it needs
    is not installed. PluginError where the target is a plugin's or a library's and raises, or gives no such part as
    what holds it asks for. What is built goes into `made`, too, nested parts before the outer one, by the path
    of its node.
    """
    path = str(node._get_full_key(None) or "") if OmegaConf.is_config(node) else ""
    plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    return _built(plain, path, parts, trust, {} if made is None else made)


def _built(node: Any, at: str, parts: tuple[Any, ...], trust: Trust, made: dict[str, Any]) -> Any:
    if isinstance(node, Mapping):
        inner = {key: value for key, value in node.items() if key not in (TARGET, PARTIAL)}
        settings = {key: _built(value, f"{at}.{key}".lstrip("."), (), trust, made) for key, value in inner.items()}
        if TARGET not in node:
            return settings
        settings = {str(key): value for key, value in settings.items()}
        target = Target(str(node[TARGET]), named(str(node[TARGET])))
        refuse_absent(getattr(target.made, "needs", {}), target.name)  # the recipe of a run was composed elsewhere
        given = (trust, *parts) if target.takes_first("trust") else parts
        made[at] = _called(target, given, settings, at or str(node[TARGET]), waits=bool(node.get(PARTIAL)))
        return made[at]
    if isinstance(node, (list, tuple)):
        return [_built(one, f"{at}[{index}]", (), trust, made) for index, one in enumerate(node)]
    return node


def _called(target: Target, parts: tuple[Any, ...], settings: dict[str, Any], at: str, *, waits: bool) -> Any:
    received = as_received(target, parts, settings, at=at, partial=waits)
    if waits:
        return partial(target.made, *parts, **received)
    try:
        return target.made(*parts, **received)
    except Exception as error:
        if isinstance(error, LuthierError):
            raise
        refusal = as_refusal(error, target, parts, settings, at=at) or blamed(error, target.made, at=at)
        if refusal is None:
            raise
        raise refusal from error
