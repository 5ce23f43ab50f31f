"""Which linear layers of a network an adapter can take: those that are called, and compute a matrix product alone."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from functools import cache

from torch import nn
from transformers.pytorch_utils import Conv1D

from luthier.models.experts.layers import plain

_READ = re.compile(r"self\.(\w+)\.weight\b(?!\.(?:dtype|device|shape|ndim|data)\b|\[)")
"""Source that reads the weight of a child; a slice of it is a rare path beside the call of the child."""


def is_linear(module: nn.Module) -> bool:
    """Whether it holds the matrix of a linear map: a linear layer of torch, one that is quantized, or that of GPT-2."""
    return isinstance(module, (nn.Linear, Conv1D))


def beyond_adapters(network: nn.Module) -> dict[str, str]:
    """The linear layers that an adapter would not change rightly, by name, with the reason.

    A Mamba mixer hands `out_proj.weight` to a kernel, so what an adapter adds to the output of `out_proj` is lost; and
    a subclass of a linear layer with a forward pass of its own (grouped, routing) computes more than the product.
    A weight that several blocks share (Zamba) would be adapted in one of them alone.
    """
    found: dict[str, str] = {}
    linear = (module for _, module in network.named_modules(remove_duplicate=False) if is_linear(module))
    count = Counter(id(module.weight) for module in linear)
    for name, module in network.named_modules():
        kind = type(module)
        for child, one in module.named_children():
            inner = plain(one)
            if not is_linear(inner):
                continue
            full = f"{name}.{child}".lstrip(".")
            if count[id(inner.weight)] > 1:
                found[full] = "it stands in several places, and an adapter would in one of them"
            elif child in _weights_read(kind):  # type: ignore[arg-type]
                found[full] = f"{kind.__name__} computes with its weight past the module"
            elif _computes_more(inner):
                found[full] = f"{type(inner).__name__} computes more than a matrix product"
    return found


def _computes_more(module: nn.Module) -> bool:
    """Whether an architecture made a subclass with a forward pass of its own; quantized layers are not meant."""
    kind = type(module)
    own = kind.forward not in (nn.Linear.forward, Conv1D.forward)
    return own and kind.__module__.startswith(("transformers.models.", "transformers_modules."))


@cache
def _weights_read(kind: type[nn.Module]) -> frozenset[str]:
    """The children of a class whose weights its source reads; finding the source takes long."""
    if kind.__module__.startswith(("torch.", "peft.")):
        return frozenset()
    try:
        return frozenset(_READ.findall(inspect.getsource(kind)))
    except (OSError, TypeError):  # its source is not there
        return frozenset()
