"""Networks of somebody's own: layers that stand beside their head, and a convolution that reaches far back."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache, GenerationMixin, PretrainedConfig
from transformers import PreTrainedModel as Pretrained
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput, CausalLMOutputWithPast


class FlatConfig(PretrainedConfig):
    """Sizes under the names of nanoGPT, where `block_size` is the length of the table of positions."""

    model_type = "flat_of_nobody"
    attribute_map: ClassVar = {"hidden_size": "n_embd", "num_hidden_layers": "n_layer"}

    def __init__(self, vocab_size: int = 96, n_embd: int = 32, n_layer: int = 2, block_size: int = 200, **rest: Any):
        super().__init__(**{"tie_word_embeddings": False, **rest})
        self.vocab_size, self.n_embd, self.n_layer, self.block_size = vocab_size, n_embd, n_layer, block_size


class FlatBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.attn, self.proj = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        query, key, value = self.attn(self.norm(hidden)).chunk(3, dim=-1)
        return hidden + self.proj(nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True))


class FlatWithoutGeneration(Pretrained):
    """Its layers stand beside its head in a ModuleDict, which nothing calls, and it knows neither masks nor caches."""

    config_class = FlatConfig
    base_model_prefix = "transformer"

    def __init__(self, config: FlatConfig) -> None:
        super().__init__(config)
        tables = {"wte": nn.Embedding(config.vocab_size, config.n_embd)}
        tables["wpe"] = nn.Embedding(config.block_size, config.n_embd)
        blocks = nn.ModuleList(FlatBlock(config.n_embd) for _ in range(config.n_layer))
        self.transformer = nn.ModuleDict({**tables, "h": blocks, "norm": nn.LayerNorm(config.n_embd)})
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.transformer["wte"]

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def forward(self, input_ids: Tensor, **rest: Any) -> CausalLMOutput:
        hidden = self.transformer["wte"](input_ids) + self.transformer["wpe"](torch.arange(input_ids.shape[1]))
        for block in self.transformer["h"]:
            hidden = block(hidden)
        return CausalLMOutput(logits=self.lm_head(self.transformer["norm"](hidden)))


class FlatForCausalLM(FlatWithoutGeneration, GenerationMixin):
    pass


class FarConfig(PretrainedConfig):
    model_type = "far_of_nobody"

    def __init__(self, vocab_size: int = 96, hidden_size: int = 32, far: int = 30, **rest: Any) -> None:
        super().__init__(**rest)
        self.vocab_size, self.hidden_size, self.far = vocab_size, hidden_size, far


class FarTrunk(Pretrained):
    """Attention with a cache behind a convolution that has none: it takes what was before a call for nothing."""

    config_class = FarConfig

    def __init__(self, config: FarConfig) -> None:
        super().__init__(config)
        width, self.far = config.hidden_size, config.far
        self.embed, self.attn = nn.Embedding(config.vocab_size, width), nn.Linear(width, 3 * width)
        self.conv = nn.Conv1d(width, width, 2, dilation=config.far, padding=config.far)
        self.post_init()

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, past_key_values: Any = None, **rest: Any
    ) -> BaseModelOutput:
        hidden, new = self.embed(input_ids), input_ids.shape[1]
        hidden = hidden + self.conv(hidden.transpose(1, 2))[..., :new].transpose(1, 2)
        query, key, value = (part[:, None] for part in self.attn(hidden).chunk(3, dim=-1))
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, 0)
        seen = torch.ones(new, key.shape[2], dtype=torch.bool).tril(key.shape[2] - new)
        if attention_mask is not None and attention_mask.ndim == 2:
            seen = seen & attention_mask.bool()[:, None, None] | torch.eye(new, key.shape[2], dtype=torch.bool)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        return BaseModelOutput(last_hidden_state=hidden + mixed[:, 0])


class FarForCausalLM(Pretrained, GenerationMixin):
    config_class = FarConfig
    base_model_prefix = "model"

    def __init__(self, config: FarConfig) -> None:
        super().__init__(config)
        self.model, self.lm_head = FarTrunk(config), nn.Linear(config.hidden_size, config.vocab_size)
        self.post_init()

    def get_decoder(self) -> nn.Module:
        return self.model

    def get_input_embeddings(self) -> nn.Module:
        return self.model.embed

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def forward(
        self, input_ids: Tensor, past_key_values: Any = None, use_cache: bool = False, logits_to_keep: int = 0,
        **rest: Any,
    ) -> CausalLMOutputWithPast:  # fmt: skip
        cache = (past_key_values or DynamicCache()) if use_cache else None
        hidden = self.model(input_ids, past_key_values=cache, **rest).last_hidden_state
        return CausalLMOutputWithPast(logits=self.lm_head(hidden[:, -logits_to_keep:]), past_key_values=cache)


AutoConfig.register("flat_of_nobody", FlatConfig)
AutoConfig.register("far_of_nobody", FarConfig)
AutoModelForCausalLM.register(FlatConfig, FlatForCausalLM)
AutoModelForCausalLM.register(FarConfig, FarForCausalLM)
