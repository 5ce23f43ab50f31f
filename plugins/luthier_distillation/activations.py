"""What goes on inside a network while it reads a batch: what each layer passes on, and what its heads look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import Tensor, nn

from luthier.api import AttentionLayer, RecipeError, decoder_layers, unwrapped, virtual_token_count


class Heads(NamedTuple):
    """Queries [B, Hq, T, D] and keys [B, Hkv, T, D] of an attention layer, and how it attends."""

    query: Tensor
    key: Tensor
    layer: AttentionLayer


class Watch:
    """Keeps the hidden states [B, T, H] behind the layers of these numbers, and with `maps` their `heads`."""

    def __init__(self, layers: frozenset[int], *, maps: bool) -> None:
        self.layers, self.maps = layers, maps
        self.hidden: dict[int, Tensor] = {}
        self.heads: dict[int, Heads] = {}

    @contextmanager
    def during(self, network: nn.Module, inputs: dict[str, Any]) -> Iterator[None]:
        """Watch while the network is called with these inputs, those of `luthier.models.attention.network_inputs`."""
        if self.maps:
            self._listen(network, inputs)
        layers, tokens = decoder_layers(unwrapped(network)), inputs["input_ids"].shape[1]

        def keep(number: int) -> Any:
            def seen(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
                hidden = output if isinstance(output, Tensor) else output[0]
                self.hidden[number] = hidden[:, -tokens:]  # virtual tokens come first

            return seen

        handles = [layers[number].register_forward_hook(keep(number)) for number in sorted(self.layers)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _listen(self, network: nn.Module, inputs: dict[str, Any]) -> None:
        if "packing" not in inputs or virtual_token_count(network):
            raise RecipeError(
                f"The attention of {type(unwrapped(network)).__name__} cannot be looked into: it is not "
                "luthier_packed, "
                "or virtual tokens stand before the text.",
                where="method.signal",
                hint="Use attn_implementation=luthier_packed for both models, or method/signal=hidden_states.",
            )

        def heard(module: nn.Module, query: Tensor, key: Tensor, layer: AttentionLayer) -> None:
            number: Any = module.layer_idx
            if number in self.layers:
                if layer.softcap is not None or not layer.causal:
                    raise RecipeError("Only plain causal attention maps can be compared.", where="method.signal")
                self.heads[number] = Heads(query, key, layer)

        inputs["packing"].on_attention = heard
