"""Ranks that call a network in shards unequally often, as when they generate: who is done keeps the others company."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from luthier.errors import LuthierError
from luthier.models.evaluation_mode import evaluation_mode
from luthier.training import shards

Result = TypeVar("Result")


def in_company(network: nn.Module, group: Any, work: Callable[[], Result]) -> Result | LuthierError:
    """What `work` gives, or the LuthierError that it raises, when all ranks of `group` are done with theirs.

    A call of a network in shards gathers its weights from all ranks, so that all must call it together. Before each
    call they agree whether any of them still works; those that do not call it with one token. A network that each
    rank holds whole needs no company.
    """
    if not shards.is_sharded(network):
        return _result(work)
    hook = network.register_forward_pre_hook(lambda *_: _anyone(group, works=True), prepend=True)
    try:
        result = _result(work)
    finally:
        hook.remove()
    with evaluation_mode(network):
        token = torch.zeros(1, 1, dtype=torch.int64, device=_device(network))
        while _anyone(group, works=False):
            network(input_ids=token, use_cache=False)
    shards.reshard(network)
    return result


def _result(work: Callable[[], Result]) -> Result | LuthierError:
    try:
        return work()
    except LuthierError as error:
        return error


def _anyone(group: Any, *, works: bool) -> bool | None:
    """Whether a rank still works; None for one that does, as a hook that changes nothing gives."""
    count: Tensor = torch.tensor(int(works))
    dist.all_reduce(count, group=group)
    return None if works else bool(count)


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
