"""From a checked node of a recipe to the part that it names."""

from __future__ import annotations

from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from luthier.errors import LuthierError


def build(node: Any, *parts: Any) -> Any:
    """Call the node's target with the parts in front and its settings as keywords; nested nodes are built first.

    The node must come from `Composer.check`, which has seen every name in it. A LuthierError of the target is raised
    as it is.
    """
    try:
        return instantiate(node, *parts, _convert_="all")
    except InstantiationException as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, LuthierError):
                raise cause from error
            cause = cause.__cause__
        raise
