"""The modules that bottleneck adapters insert."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

Activation = Literal["relu", "gelu", "silu", "tanh"]
CHILD = "bottleneck"


class Narrow(nn.Module):
    """W_up · f(W_down · h): [..., width] through [..., inner]; zeros until it is trained. In float32.

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
        change: Tensor = self.up(self.activation(self.down(inside)))
        return change.to(hidden.dtype)


class Inserted(nn.Module):
    """Adds to what a module gives; one `Narrow` for each adapter, of which at most one is on.

    It reads what the module gives, or with `beside` what the module was given.
    """

    def __init__(self, *, beside: bool, scale: float) -> None:
        super().__init__()
        self.extras, self.scale = beside, scale
        self.adapters = nn.ModuleDict()
        self.on: str | None = "default"

    def forward(self, given: Tensor, output: Tensor) -> Tensor:
        if self.on is None:
            return output
        change: Tensor = self.adapters[self.on](given if self.extras else output)
        return output + self.scale * change


def insert(module: nn.Module, inserted: Inserted) -> None:
    """Put it behind a module, as its child: the names of all other weights stay as they are."""
    module.add_module(CHILD, inserted)
    module.register_forward_hook(_pass_on, with_kwargs=True)


def _pass_on(module: nn.Module, args: tuple[Any, ...], named: dict[str, Any], output: Any) -> Any:
    inserted = getattr(module, CHILD)
    given = args[0] if args else named["hidden_states"]
    if isinstance(output, tuple):
        return (inserted(given, output[0]), *output[1:])
    return inserted(given, output)
