"""The modules that bottleneck adapters insert into a network."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from luthier.api import ADAPTER_NAME

Activation = Literal["relu", "gelu", "silu", "tanh"]
CHILD = "bottleneck"


class BottleneckAdapter(nn.Module):
    """W_up · f(W_down · h): [..., width] through [..., inner] to [..., width], in float32; W_up starts as zeros.

    Houlsby et al., 2019, section 2.1.
    """

    def __init__(self, width: int, inner: int, activation: Activation, dropout: float) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, inner), nn.Linear(inner, width)
        self.dropout, self.activation = nn.Dropout(dropout), getattr(nn.functional, activation)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        inside = self.dropout(hidden.to(self.down.weight.dtype))
        update: Tensor = self.up(self.activation(self.down(inside)))
        return update.to(hidden.dtype)


class AdapterSlot(nn.Module):
    """Adds the active adapter's update, times `scale`, to the output of a module; it holds one adapter for each name.

    The adapter reads the module's output, or with `parallel` the module's input.
    """

    def __init__(self, *, parallel: bool, scale: float) -> None:
        super().__init__()
        self.parallel, self.scale = parallel, scale
        self.adapters = nn.ModuleDict()
        self.active: str | None = ADAPTER_NAME

    def forward(self, inputs: Tensor, output: Tensor) -> Tensor:
        if self.active is None:
            return output
        update: Tensor = self.adapters[self.active](inputs if self.parallel else output)
        return output + self.scale * update


def insert(module: nn.Module, slot: AdapterSlot) -> None:
    """Make the slot a child of a module and apply it to the module's output; the names of other weights stay."""
    module.add_module(CHILD, slot)
    module.register_forward_hook(_apply, with_kwargs=True)


def _apply(module: nn.Module, args: tuple[Any, ...], named: dict[str, Any], output: Any) -> Any:
    slot = getattr(module, CHILD)
    inputs = args[0] if args else named["hidden_states"]
    if isinstance(output, tuple):
        return (slot(inputs, output[0]), *output[1:])
    return slot(inputs, output)
