"""A causal language model whose trunk is that of several networks side by side, and whose head combines them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig
from transformers.modeling_outputs import CausalLMOutputWithPast

from luthier.api import (
    Decoding,
    Layout,
    Packed,
    RecipeError,
    decoding_of,
    hidden_states_and_logits,
    kv_cache_for,
    layout_of,
    select_rows,
    unwrapped,
    virtual_token_count,
)
from luthier_ensemble.combining.combining import Combining
from luthier_ensemble.ensemble_head import EnsembleHead


class MemberNetworks(nn.ModuleList):
    """The networks of the members, which are called one after another on the same tokens."""

    def forward(self, caches: Sequence[Any], inputs: Mapping[str, Any]) -> tuple[Tensor, list[Tensor]]:
        """All last hidden states, concatenated [B, T, ΣH], and the logits of each at the last position, [B, V]."""
        hidden, logits = zip(
            *(
                hidden_states_and_logits(member, {**inputs, **cache})
                for member, cache in zip(self, caches, strict=True)
            ),
            strict=True,
        )
        return torch.cat(hidden, dim=-1), list(logits)


@dataclass
class MemberCaches:
    """The key-value cache of each member."""

    caches: list[Any]

    def get_seq_length(self) -> int:
        return int(self.caches[0].get_seq_length())

    def batch_select_indices(self, indices: Tensor) -> None:
        for cache in self.caches:
            select_rows(cache, indices)


class EnsembleNetwork(nn.Module):
    """A causal language model made of several with one vocabulary: their trunks side by side and an `EnsembleHead`.

    Hidden states, logits, losses and generation work as with any other network. Stored gates are named after `mix`.
    """

    def __init__(self, members: Mapping[str, nn.Module], combining: Combining, config: PretrainedConfig) -> None:
        super().__init__()
        self.config = config
        self.members = MemberNetworks(members.values())
        heads = [cast("Any", unwrapped(member)).get_output_embeddings() for member in members.values()]
        widths = [int(head.weight.shape[-1]) for head in heads]
        self.mix = EnsembleHead(members, combining, int(config.vocab_size), widths)
        self.generation_config = getattr(unwrapped(self.members[0]), "generation_config", None)

    @property
    def virtual_tokens(self) -> int:
        return max(virtual_token_count(member) for member in self.members)

    @property
    def layout(self) -> Layout:
        """That of all members, where it is the same; else row by row, which each of them computes right."""
        first, *others = layouts = [layout_of(member) for member in self.members]
        if all(other == first for other in others):
            return first
        one_length = any(layout.packed is Packed.LENGTHS for layout in layouts)
        return Layout(first.attention, Packed.LENGTHS if one_length else Packed.ROWS, reason="members differ in theirs")

    @property
    def decoding(self) -> Decoding:
        """The way that is right for every member."""
        ways = [decoding_of(member) for member in self.members]
        cached = all(way.cache == "past_key_values" for way in ways)
        return Decoding(all(way.padded for way in ways) and cached, "past_key_values" if cached else None)

    def get_decoder(self) -> nn.Module:
        return self.members

    def get_output_embeddings(self) -> nn.Module:
        return self.mix

    @property
    def supports_gradient_checkpointing(self) -> bool:
        return all(unwrapped(member).supports_gradient_checkpointing for member in self.members)

    def gradient_checkpointing_enable(self, **settings: Any) -> None:
        for member in self.members:
            unwrapped(member).gradient_checkpointing_enable(**settings)  # type: ignore[operator]

    def set_attn_implementation(self, name: str) -> None:
        for member in self.members:
            unwrapped(member).set_attn_implementation(name)  # type: ignore[operator]
        self.config._attn_implementation = name

    @property
    def _no_split_modules(self) -> list[str]:
        return [name for member in self.members for name in cast("Any", unwrapped(member))._no_split_modules or ()]

    def save_pretrained(self, folder: Path) -> None:
        raise RecipeError(
            "An ensemble is several networks, and other tools load one.",
            where=str(folder),
            hint="Distill it into a single one: method=distill, with model@method.teacher=run.",
        )

    def prepare_inputs_for_generation(self, *inputs: Any, **more: Any) -> Any:
        """Required by PEFT; transformers' own generation has a single cache."""
        raise RecipeError(
            "transformers' own generation does not support a cache for each member.",
            hint="Generate with the ensemble through luthier.load(run).generate.",
        )

    def new_cache(self, room: int) -> MemberCaches:
        """A cache for each member, with room for `room` tokens a row."""
        return MemberCaches([kv_cache_for(member, room) for member in self.members])

    def forward(
        self,
        input_ids: Tensor,
        position_ids: Tensor | None = None,
        past_key_values: MemberCaches | None = None,
        logits_to_keep: int = 0,
        **rest: Any,
    ) -> CausalLMOutputWithPast:
        """The logits of the last `logits_to_keep` positions, of all where that is 0."""
        inputs = {"input_ids": input_ids, "position_ids": position_ids, **rest}
        inputs = {name: value for name, value in inputs.items() if value is not None}
        caches = (
            [{"past_key_values": cache} for cache in past_key_values.caches]
            if past_key_values
            else [{}] * len(self.members)
        )
        hidden, last = self.members(caches, inputs)
        if logits_to_keep == 1:
            logits = self.mix.combined(iter([each.unsqueeze(1) for each in last]), hidden[:, -1:])
        else:
            logits = self.mix(hidden[:, -logits_to_keep:])
        return CausalLMOutputWithPast(logits=logits, past_key_values=past_key_values)  # type: ignore[arg-type]
