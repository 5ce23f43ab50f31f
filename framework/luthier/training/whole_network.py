"""A network in shards becomes a plain one in the host memory of the first rank, weight by weight."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.distributed.fsdp import FSDPModule

from luthier.training import shards
from luthier.training.split_layers import join


def make_whole(network: nn.Module, *, keep: bool) -> None:
    """Give a network whole weights on the CPU and take the shards away; all ranks call it together.

    Where it is not to be kept, its weights are left empty. More than one weight is never gathered at a time.
    """
    shards.reshard(network)
    known: dict[nn.Parameter, nn.Parameter] = {}
    for module in network.modules():
        for name, weight in module._parameters.items():
            if weight is None:
                continue
            if weight not in known:
                full = shards.whole(weight.detach())
                data = full.cpu() if keep else full.new_empty(0, device="cpu")
                known[weight] = nn.Parameter(data, requires_grad=weight.requires_grad)
            module._parameters[name] = known[weight]
    for module in network.modules():
        join(module)
        if isinstance(module, FSDPModule):
            _release(module)
    if keep:
        network.to("cpu")  # buffers, too


def _release(module: Any) -> None:
    """Undo what `fully_shard` did to a module beside its weights, for which torch has no call."""
    state = module._get_fsdp_state()
    state._pre_forward_hook_handle.remove()
    state._post_forward_hook_handle.remove()
    for group in state._fsdp_param_groups:
        handles = group._module_to_pre_save_state_dict_hook_handle, group._module_to_pre_load_state_dict_hook_handle
        for handle in (handle for some in handles for handle in some.values()):
            handle.remove()
    module.__class__ = type(module).__mro__[module._orig_cls_mro_index]
