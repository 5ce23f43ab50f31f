"""Activations of a network on a batch: hidden states behind its layers, queries and keys of its attention layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from luthier.api import (
    AttentionLayer,
    Batch,
    ForwardPass,
    RecipeError,
    as_the_batch,
    decoder_layers,
    forward_passes,
    hidden_states,
    last_hidden_state,
    layout_of,
    unwrapped,
    virtual_token_count,
)


class AttentionInputs(NamedTuple):
    """Queries [B, Hq, T, D] and keys [B, Hkv, T, D] of an attention layer, and its scaling, window and mask."""

    query: Tensor
    key: Tensor
    layer: AttentionLayer


class ActivationRecorder:
    """Records the activations of the layers with these numbers during a forward pass.

    `hidden_states` are those behind each layer, [B, T, H], without soft-prompt tokens; `attention_inputs` are recorded
    with `attention` only.
    """

    def __init__(self, layers: frozenset[int], *, attention: bool) -> None:
        self.layers, self.attention = layers, attention
        self.hidden_states: dict[int, Tensor] = {}
        self.attention_inputs: dict[int, AttentionInputs] = {}

    @contextmanager
    def recording(self, network: nn.Module, batch: Batch, passes: Sequence[ForwardPass]) -> Iterator[None]:
        """Record while the network is called with the inputs of each forward pass of the batch, in order."""
        if self.attention:
            self._record_attention(network, passes[0].inputs)
        layers = decoder_layers(unwrapped(network))
        outputs: dict[int, list[Tensor]] = {number: [] for number in self.layers}

        def hook_for(number: int) -> Any:
            def record(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
                hidden_states = output if isinstance(output, Tensor) else output[0]
                tokens = passes[len(outputs[number])].inputs["input_ids"].shape[1]
                outputs[number].append(hidden_states[:, -tokens:])  # soft-prompt tokens come first

            return record

        with registered(layers[number].register_forward_hook(hook_for(number)) for number in sorted(self.layers)):
            yield
        for number, each in outputs.items():
            self.hidden_states[number] = as_the_batch(batch, passes, each)

    def _record_attention(self, network: nn.Module, inputs: dict[str, Any]) -> None:
        if "packing" not in inputs or virtual_token_count(network):
            raise RecipeError(
                f"The attention maps of {type(unwrapped(network)).__name__} cannot be recorded: its attention is not "
                "luthier_packed, or soft-prompt tokens are prepended.",
                where="method.signal",
                hint="Use attn_implementation=luthier_packed for both models, or method/signal=hidden_states.",
            )

        def record(module: nn.Module, query: Tensor, key: Tensor, layer: AttentionLayer) -> None:
            number: Any = module.layer_idx
            if number in self.layers:
                if layer.softcap is not None or not layer.causal:
                    raise RecipeError("Only plain causal attention maps can be compared.", where="method.signal")
                self.attention_inputs[number] = AttentionInputs(query, key, layer)

        inputs["packing"].on_attention = record


def recorded_hidden_states(network: nn.Module, batch: Batch, recorder: ActivationRecorder | None) -> Tensor:
    """The last hidden states [B, T, H] of a packed batch; the recorder, where there is one, records the others."""
    if recorder is None:
        return hidden_states(network, batch)
    passes = forward_passes(batch, layout_of(network))
    with recorder.recording(network, batch, passes):
        return as_the_batch(batch, passes, [last_hidden_state(network, each.inputs) for each in passes])


@contextmanager
def registered(handles: Iterable[RemovableHandle]) -> Iterator[None]:
    """Keep forward hooks registered for the body of a `with`, and remove them behind it."""
    registered_handles = list(handles)
    try:
        yield
    finally:
        for handle in registered_handles:
            handle.remove()
