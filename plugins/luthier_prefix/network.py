"""A network with virtual tokens before each text, whether texts are packed, padded or generated token by token.

Weights, their initialisation and their files are PEFT's, and so are the positions: virtual tokens take the first ones
and the text follows. PEFT's own forward pass prepends the tokens to each row of a batch; this one prepends them to each
packed sequence of a row.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import torch
from peft import PeftConfig, PeftModelForCausalLM
from torch import Tensor, nn
from transformers import Cache, DynamicCache

from luthier.api import PACKED_ATTENTION, Packing, RecipeError


class VirtualTokenModel(PeftModelForCausalLM, ABC):
    """The virtual tokens are keys and values of each layer or embeddings, by the subclass."""

    base_model: Any
    prompt_encoder: Any
    _enabled = True

    def __init__(self, network: nn.Module, config: PeftConfig) -> None:
        with _checkpointing_hidden(network):
            super().__init__(network, config)

    @property
    def virtual_tokens(self) -> int:
        return int(self.active_peft_config.num_virtual_tokens) if self._enabled else 0

    def use_virtual_tokens(self, adapter: str | None) -> None:
        """Prepend the virtual tokens of this adapter from now on; None: none, which gives the base network."""
        self._enabled = adapter is not None
        if adapter is not None:
            self.set_adapter(adapter)

    def virtual(self) -> Tensor:
        """The virtual tokens, [n, width], in the dtype of their weights also under autocast: exactly what is saved."""
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
        cache_params: Any = None,
        **rest: Any,
    ) -> Any:
        """Call the network. Mask and positions are those of the text; the logits of the text are the last ones."""
        masked: dict[str, Any] = {"attention_mask": attention_mask, "past_key_values": past_key_values}
        if not self._enabled:
            inputs = {"position_ids": position_ids, "packing": packing, **masked, **rest}
            inputs |= {} if cache_params is None else {"cache_params": cache_params}
            return self.base_model(input_ids=input_ids, **inputs)
        if cache_params is not None:  # of networks without attention
            rest["cache_params"] = cache_params
            begun = _is_begun(cache_params)
            return self.base_model(input_ids=input_ids, **rest) if begun else self._alone(input_ids, **rest)
        if packing is None and (attention_mask is not None or past_key_values is not None):
            return self._cached(input_ids, position_ids, **masked, **rest)
        rows, length = input_ids.shape
        if packing is None and self._attention != PACKED_ATTENTION:
            return self._alone(input_ids, **rest)
        if packing is None:
            packing = Packing(tuple(range(0, rows * length + 1, length)))
        if position_ids is None:
            position_ids = torch.arange(length, device=input_ids.device).expand(rows, length)
        self._check_length(max(packing.seen_lengths(0)))
        no_mask = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=input_ids.device)
        return self._packed(input_ids, position_ids, packing, attention_mask=no_mask, **rest)

    @abstractmethod
    def _packed(self, input_ids: Tensor, position_ids: Tensor, packing: Packing, **rest: Any) -> Any:
        """Call the network with the virtual tokens before each packed sequence; positions are those of the texts."""

    @abstractmethod
    def _alone(self, input_ids: Tensor, **rest: Any) -> Any:
        """Call the network with the virtual tokens before each row, under an attention of transformers."""

    @abstractmethod
    def _begin(self, cache: Cache, rows: int) -> None:
        """Put the virtual tokens into an empty cache of `rows` rows."""

    def _cached(
        self,
        input_ids: Tensor,
        position_ids: Tensor | None,
        *,
        attention_mask: Tensor | None,
        past_key_values: Cache | None,
        **rest: Any,
    ) -> Any:
        """Call the network with a cache that begins with the virtual tokens: for evaluation."""
        if self.training and _checkpointed_modules(self):
            raise RecipeError("Gradient checkpointing drops the cache that holds the virtual tokens.", where="model")
        cache, before = past_key_values, self.virtual_tokens
        if cache is None:
            cache = DynamicCache(config=self.base_model.config.get_text_config())
        if not _is_begun(cache):
            self._begin(cache, len(input_ids))
        if attention_mask is not None:
            visible = 0 if attention_mask.is_floating_point() else 1  # an additive or a boolean mask
            attention_mask = nn.functional.pad(attention_mask, (before, 0), value=visible)
        if position_ids is not None and self._takes_positions:
            rest["position_ids"] = position_ids + before  # others count what is in the cache
        return self.base_model(input_ids=input_ids, attention_mask=attention_mask, past_key_values=cache, **rest)

    @property
    def _takes_positions(self) -> bool:
        return "position_ids" in inspect.signature(self.base_model.forward).parameters

    @property
    def _attention(self) -> str:
        return str(self.base_model.config.get_text_config()._attn_implementation)

    def _check_length(self, longest: int) -> None:
        """RecipeError for texts that leave no positions for the virtual tokens."""
        positions = getattr(self.base_model.config.get_text_config(), "max_position_embeddings", None)
        if positions is not None and longest + self.virtual_tokens > positions:
            raise RecipeError(
                f"{self.virtual_tokens} virtual tokens and {longest} of text are more than the {positions} positions "
                "of the network.",
                where="batch.length",
                hint=f"Set batch.length and evaluation.general_length to {positions - self.virtual_tokens} or less.",
            )


class PrefixTuningModel(VirtualTokenModel):
    """Virtual tokens are keys and values of every layer (prefix tuning)."""

    def _packed(self, input_ids: Tensor, position_ids: Tensor, packing: Packing, **rest: Any) -> Any:
        packing = packing.behind(before=self._keys_and_values())
        return self.base_model(
            input_ids=input_ids, position_ids=position_ids + self.virtual_tokens, packing=packing, **rest
        )

    def _alone(self, input_ids: Tensor, **rest: Any) -> Any:
        if self.training and _checkpointed_modules(self):
            raise RecipeError(
                f"Under {self._attention} attention the prefix is in a cache, which gradient checkpointing drops.",
                where="model.gradient_checkpointing",
                hint="Set model.gradient_checkpointing=false.",
            )
        positions = torch.arange(input_ids.shape[1], device=input_ids.device).expand(input_ids.shape)
        return self._cached(
            input_ids, positions, attention_mask=None, past_key_values=None, **rest | {"use_cache": True}
        )

    def _begin(self, cache: Cache, rows: int) -> None:
        for index, layer in enumerate(self._keys_and_values().to(self.base_model.dtype)):
            keys, values = layer.unsqueeze(1).expand(-1, rows, -1, -1, -1)
            cache.update(keys, values, index)

    def _keys_and_values(self) -> Tensor:
        """The keys and values of each layer, [layers, 2, Hkv, n, D]."""
        config = self.active_peft_config
        heads, width = config.num_attention_heads, config.token_dim
        by_layer = self.virtual().view(config.num_virtual_tokens, config.num_layers, 2, heads, width // heads)
        return by_layer.permute(1, 2, 3, 0, 4)


class SoftPromptModel(VirtualTokenModel):
    """Virtual tokens are embeddings before those of the text (prompt tuning, p-tuning)."""

    def __init__(self, network: nn.Module, config: PeftConfig) -> None:
        super().__init__(network, config)
        if self.word_embeddings is not self.base_model.get_input_embeddings():
            raise RecipeError(
                f"PEFT does not find the embeddings of {type(self.base_model).__name__}, as it looks for a weight with "
                "a row for each token of the vocabulary and no more; it could not load the artifact.",
                where="adaptation",
                hint="Choose prefix, whose virtual tokens are keys and values, or lora.",
            )

    def _packed(self, input_ids: Tensor, position_ids: Tensor, packing: Packing, **rest: Any) -> Any:
        embeddings, before = self.base_model.get_input_embeddings()(input_ids), self.virtual_tokens
        first = torch.arange(before, device=position_ids.device).expand(len(position_ids), before)
        return self.base_model(
            inputs_embeds=torch.cat([self._embeddings(len(embeddings)).to(embeddings.dtype), embeddings], dim=1),
            position_ids=torch.cat([first, position_ids + before], dim=1),
            packing=packing.behind(lead=before),
            **rest,
        )

    def _alone(self, input_ids: Tensor, **rest: Any) -> Any:
        self._check_length(input_ids.shape[1])
        embeddings = self.base_model.get_input_embeddings()(input_ids)
        before = self._embeddings(len(embeddings)).to(embeddings.dtype)
        return self.base_model(inputs_embeds=torch.cat([before, embeddings], dim=1), **rest)

    def _cached(
        self,
        input_ids: Tensor,
        position_ids: Tensor | None,
        *,
        attention_mask: Tensor | None,
        past_key_values: Cache | None,
        **rest: Any,
    ) -> Any:
        named = {"attention_mask": attention_mask, "past_key_values": past_key_values}
        begun = past_key_values is not None and _is_begun(past_key_values)
        if begun or (attention_mask is not None and attention_mask.ndim > 2):
            return super()._cached(input_ids, position_ids, **named, **rest)  # type: ignore[arg-type]
        # one call: layers with a state read a text of several tokens from its very beginning only
        before, embeddings = self.virtual_tokens, self.base_model.get_input_embeddings()(input_ids)
        if attention_mask is not None:
            named["attention_mask"] = nn.functional.pad(attention_mask, (before, 0), value=1)
        if position_ids is not None and self._takes_positions:
            first = torch.arange(before, device=position_ids.device).expand(len(position_ids), before)
            rest["position_ids"] = torch.cat([first, position_ids + before], dim=1)
        virtual = self._embeddings(len(embeddings)).to(embeddings.dtype)
        return self.base_model(inputs_embeds=torch.cat([virtual, embeddings], dim=1), **named, **rest)

    def _begin(self, cache: Cache, rows: int) -> None:
        embeddings = self._embeddings(rows).to(self.base_model.dtype)
        self.base_model(inputs_embeds=embeddings, past_key_values=cache, use_cache=True, logits_to_keep=1)

    def _embeddings(self, rows: int) -> Tensor:
        """The virtual tokens for each row, [rows, n, width]."""
        return self.virtual().repeat(rows, 1, 1)  # no view: some networks scale what they are given in place


def _is_begun(cache: Any) -> bool:
    """Whether a cache holds anything, of keys or of a state."""
    layers = getattr(cache, "layers", None) or ()
    if any(any(getattr(layer, "has_previous_state", {}).values()) for layer in layers):
        return True
    with suppress(ValueError):  # of a cache whose layers keep a state alone
        return bool(cache.get_seq_length())
    return False


@contextmanager
def _checkpointing_hidden(network: nn.Module) -> Iterator[None]:
    """Hide gradient checkpointing from PEFT, which refuses it for prefixes in a cache; here they are in no cache."""
    checkpointing = _checkpointed_modules(network)
    for module in checkpointing:
        module.gradient_checkpointing = False  # type: ignore[assignment]
    try:
        yield
    finally:
        for module in checkpointing:
            module.gradient_checkpointing = True  # type: ignore[assignment]


def _checkpointed_modules(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if getattr(module, "gradient_checkpointing", False)]
