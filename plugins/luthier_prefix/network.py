"""A network that reads virtual tokens before each text, however texts reach it: packed, padded or token by token.

Weights, their initialisation and their files are PEFT's, and so are the positions: virtual tokens take the first ones
and the text goes on behind them. PEFT's own call puts the tokens before each row of a batch; this one puts them before
each packed sequence of a row.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from peft import PeftConfig, PeftModelForCausalLM
from torch import Tensor, nn
from transformers import Cache, DynamicCache

from luthier.api import PACKED_ATTENTION, Packing, RecipeError


class Prefixed(PeftModelForCausalLM, ABC):
    """Subclasses say what virtual tokens are: keys and values of each layer, or embeddings."""

    base_model: Any
    prompt_encoder: Any
    switched_on = True

    def __init__(self, network: nn.Module, config: PeftConfig) -> None:
        with _checkpointing_unseen(network):
            super().__init__(network, config)

    @property
    def virtual_tokens(self) -> int:
        return int(self.active_peft_config.num_virtual_tokens) if self.switched_on else 0

    def virtual(self) -> Tensor:
        """What the weights come to, [n, width], in their own dtype also under autocast: exactly what is saved."""
        encoder = self.prompt_encoder[self.active_adapter]
        table: Tensor = encoder.embedding.weight
        if self.active_peft_config.inference_mode:
            return table
        with torch.autocast(table.device.type, enabled=False):
            return cast(Tensor, encoder(torch.arange(len(table), device=table.device).unsqueeze(0))[0])

    def forward(  # type: ignore[override]
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        packing: Packing | None = None,
        **rest: Any,
    ) -> Any:
        """Call the network; masks and positions are those of the text, and the logits of a text come last."""
        masked: dict[str, Any] = {"attention_mask": attention_mask, "past_key_values": past_key_values}
        if not self.switched_on:
            inputs = {"position_ids": position_ids, "packing": packing, **masked, **rest}
            return self.base_model(input_ids=input_ids, **inputs)
        if packing is None and (attention_mask is not None or past_key_values is not None):
            return self._cached(input_ids, position_ids, **masked, **rest)
        rows, length = input_ids.shape
        if packing is None:
            packing = Packing(tuple(range(0, rows * length + 1, length)))
        if position_ids is None:
            position_ids = torch.arange(length, device=input_ids.device).expand(rows, length)
        self._refuse_what_does_not_fit(packing)
        untouched = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=input_ids.device)
        return self._packed(input_ids, position_ids, packing, attention_mask=untouched, **rest)

    @abstractmethod
    def _packed(self, input_ids: Tensor, position_ids: Tensor, packing: Packing, **rest: Any) -> Any:
        """Call the network with the virtual tokens before each packed sequence; positions are those of the texts."""

    @abstractmethod
    def _begin(self, cache: Cache, rows: int) -> None:
        """Put the virtual tokens into an empty cache of so many rows."""

    def _cached(
        self,
        input_ids: Tensor,
        position_ids: Tensor | None,
        *,
        attention_mask: Tensor | None,
        past_key_values: Cache | None,
        **rest: Any,
    ) -> Any:
        """Behind a cache that begins with the virtual tokens: for evaluation."""
        if self.training and _checkpointing(self):
            raise RecipeError("Gradient checkpointing drops the cache that virtual tokens stand in.", where="model")
        cache, before = past_key_values, self.virtual_tokens
        if cache is None:
            cache = DynamicCache(config=self.base_model.config.get_text_config())
        if not cache.get_seq_length():
            self._begin(cache, len(input_ids))
        if attention_mask is not None:
            seen = 0 if attention_mask.is_floating_point() else 1  # what is added to scores, or whether to look
            attention_mask = nn.functional.pad(attention_mask, (before, 0), value=seen)
        return self.base_model(
            input_ids=input_ids,
            position_ids=None if position_ids is None else position_ids + before,
            attention_mask=attention_mask,
            past_key_values=cache,
            **rest,
        )

    def _refuse_what_does_not_fit(self, packing: Packing) -> None:
        config = self.base_model.config.get_text_config()
        if config._attn_implementation != PACKED_ATTENTION:
            raise RecipeError(
                f"{config._attn_implementation} attention cannot put virtual tokens before each sequence.",
                where="model.attn_implementation",
                hint=f"Set model.attn_implementation={PACKED_ATTENTION}.",
            )
        most, longest = getattr(config, "max_position_embeddings", None), max(packing.seen_lengths(0))
        if most is not None and longest + self.virtual_tokens > most:
            raise RecipeError(
                f"{self.virtual_tokens} virtual tokens and {longest} of text are more than the {most} positions of "
                "the network.",
                where="batch.length",
                hint=f"Set batch.length={most - self.virtual_tokens} or less.",
            )


class KeysBefore(Prefixed):
    """Virtual tokens are keys and values of every layer (prefix tuning)."""

    def _packed(self, input_ids: Tensor, position_ids: Tensor, packing: Packing, **rest: Any) -> Any:
        behind = packing.behind(before=self._layers())
        return self.base_model(
            input_ids=input_ids, position_ids=position_ids + self.virtual_tokens, packing=behind, **rest
        )

    def _begin(self, cache: Cache, rows: int) -> None:
        for number, layer in enumerate(self._layers().to(self.base_model.dtype)):
            keys, values = layer.unsqueeze(1).expand(-1, rows, -1, -1, -1)
            cache.update(keys, values, number)

    def _layers(self) -> Tensor:
        """[layers, 2, Hkv, n, D]."""
        config = self.active_peft_config
        heads, width = config.num_attention_heads, config.token_dim
        by_layer = self.virtual().view(config.num_virtual_tokens, config.num_layers, 2, heads, width // heads)
        return by_layer.permute(1, 2, 3, 0, 4)


class TokensBefore(Prefixed):
    """Virtual tokens are embeddings, which the network reads like any other (prompt tuning, p-tuning)."""

    def _packed(self, input_ids: Tensor, position_ids: Tensor, packing: Packing, **rest: Any) -> Any:
        words, before = self.base_model.get_input_embeddings()(input_ids), self.virtual_tokens
        first = torch.arange(before, device=position_ids.device).expand(len(position_ids), before)
        return self.base_model(
            inputs_embeds=torch.cat([self._embeddings(len(words)).to(words.dtype), words], dim=1),
            position_ids=torch.cat([first, position_ids + before], dim=1),
            packing=packing.behind(lead=before),
            **rest,
        )

    def _begin(self, cache: Cache, rows: int) -> None:
        embeddings = self._embeddings(rows).to(self.base_model.dtype)
        self.base_model(inputs_embeds=embeddings, past_key_values=cache, use_cache=True, logits_to_keep=1)

    def _embeddings(self, rows: int) -> Tensor:
        """[rows, n, width]."""
        return self.virtual().expand(rows, -1, -1)


@contextmanager
def _checkpointing_unseen(network: nn.Module) -> Iterator[None]:
    """PEFT refuses prefixes beside gradient checkpointing, which drops the cache they would stand in; ours do not."""
    checkpointing = _checkpointing(network)
    for module in checkpointing:
        module.gradient_checkpointing = False  # type: ignore[assignment]
    try:
        yield
    finally:
        for module in checkpointing:
            module.gradient_checkpointing = True  # type: ignore[assignment]


def _checkpointing(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if getattr(module, "gradient_checkpointing", False)]
