"""A tiny twin of an architecture: the same classes and kinds of layers, narrow, shallow, with random weights.

What a network computes with packed sequences, padding and caches depends on its classes and on which kinds of layers
follow each other, not on their widths: a twin shows it in milliseconds, with windows short enough to be crossed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from luthier.models.auto_class import is_encoder
from luthier.models.modalities import text_weights
from luthier.models.text_attention import for_text
from luthier.models.tower_twin import has_other_towers, with_text, with_towers_of_zeros

if TYPE_CHECKING:
    from transformers import PretrainedConfig

WINDOW = 8
"""The length of every window, chunk and top-k of the twin, in tokens."""
VOCABULARY = 96
HEADS, HEAD_DIM = 4, 16
"""Attention heads of the twin, at most, and the width of each."""
EXPERTS = 8
MOST_LAYERS = 12
POSITIONS, FAR = 1024, 1 << 20
SMALL = 0.05
"""The standard deviation below which weights would leave hardly a trace."""

_LAYERS = re.compile(
    r"num_hidden_layers|n_layers?|num_layers|(de|en)coder_layers|num_(de|en)coder_layers|num_blocks|num_layers_per_stack"
)
_HEADS = re.compile(
    r"(num_attention|attention|n|num|(num_)?(de|en)coder_attention|swa_num_attention|linear_num)_?heads?|n_head|n_heads"
)
_KV_HEADS = re.compile(r"((swa_)?num_|num_global_)key_value_heads|num_kv_heads|kv_n_heads|num_query_groups")
_EXPERTS = re.compile(r"(num_|n_routed_|num_local_|moe_num_|zero_)experts?(_num)?|zero_expert_num")
_TOP_K = re.compile(r"num_experts_per_tok(en)?|moe_topk|moe_k|moe_top_k|top_k_experts")
_WIDTH = re.compile(r"hidden_size|d_model|n_embd|dim|embedding_dim|word_embed_proj_dim|lru_width|emb_dim|hidden_dim")
_HEAD_DIM = re.compile(
    r"((global_|swa_|qk_nope_|qk_rope_|index_|indexer_|linear_|linear_key_|linear_value_|mamba_|v_)?head_dim|kv_channels|dim_head|d_head"
    r"|attention_head_size|attention_head_dim|mamba_d_head|mamba_headdim|query_pre_attn_scalar)"
)
_INNER = re.compile(
    r".*(intermediate_size|ffn_dim|ffn_hidden_size|n_inner|d_ff|dff|dim_ff|d_inner|feed_forward_size)(_mlp)?"
)
_RANK = re.compile(r".*(lora_rank|_lowrank|norm_rank|adapter_rank|laurel_rank|dt_rank|time_step_rank)|d_rel")
_WINDOW = re.compile(
    r"sliding_window(_size)?|attention_chunk_size|window_size|local_attention|attention_window_size|index_topk"
    r"|chunk_size|mamba_chunk_size|block_size|rel_extent|index_block_size|mem_len"
)
_OTHER = {
    "ple_embed_dim": 32, "hidden_size_per_layer_input": 16, "router_hidden_size": 16, "ngram_vocab_size_base": 64,
    "split_ngram_parts": 4, "mamba_d_state": 16, "state_size": 16, "ssm_state_size": 16, "mamba_n_heads": 8,
    "mamba_num_heads": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
    "index_topk_blocks": 2, "index_local_blocks": 1, "n_groups": 1, "mamba_n_groups": 1, "mamba_ngroups": 1,
    "vocab_size_per_layer_input": VOCABULARY, "hc_lowrank": 8, "block_multiple_of": 16, "first_k_dense_replace": 1,
    "num_dense_layers": 1, "moe_layer_start_index": 1, "index_n_heads": 16, "n_group": 2, "num_expert_group": 2,
    "topk_group": 1, "o_groups": 2,
}  # fmt: skip
"""Fields with a value of their own in a twin, at most."""

_PECULIAR: dict[str, dict[str, Any]] = {
    "dots3_note_text": {"head_dim": 2 * HEAD_DIM, "swa_head_dim": 2 * HEAD_DIM},
    "mamba2": {"num_heads": 8},
    "zamba": {"attention_hidden_size": 2 * HEADS * HEAD_DIM, "attention_head_dim": 2 * HEAD_DIM, "n_mamba_heads": 2},
    "zamba2": {"attention_hidden_size": 2 * HEADS * HEAD_DIM, "attention_head_dim": 2 * HEAD_DIM,
               "num_key_value_heads": HEADS},
}  # fmt: skip
"""What must fit together in one architecture alone, by its model type."""

_DEEPER = {"zamba": 9}
"""Layers without which an architecture cannot be built, by its model type."""


def border_of(config: PretrainedConfig) -> int | None:
    """The length beyond which a text is computed otherwise from its first token on; None where there is none.

    Long-range rotary scaling changes all positions where the longest text of a call is longer than that.
    """
    text: Any = config.get_text_config()
    for rope in _ropes(getattr(text, "rope_parameters", None) or {}):
        if rope.get("rope_type") in ("longrope", "dynamic"):
            stated = rope.get("original_max_position_embeddings")
            return int(stated or getattr(text, "original_max_position_embeddings", 0) or text.max_position_embeddings)
    keeps: int | None = getattr(text, "keep_window_size", None)
    return keeps


def _ropes(parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """The rotary settings of all kinds of layers, which may have one each."""
    return [each for each in parameters.values() if isinstance(each, dict)] or [parameters]


def twin_config(config: PretrainedConfig, *, within: bool = False) -> PretrainedConfig:
    """The configuration of the twin: of its text part, with the first layers that show every kind there is.

    That of towers for images or sound stays, around the text part. With `within`, the border of the configuration lies
    so far out that no text of the twin crosses it.
    """
    text = config.get_text_config()
    stated = {name: value for name, value in deepcopy(text.to_dict()).items() if name not in _DERIVED}
    small = _Shrinking(stated, text, FAR if within else 2 * WINDOW).done()
    made = type(text).from_dict(small)
    made._attn_implementation = text._attn_implementation
    return with_text(config, made) if has_other_towers(config) else made


_DERIVED = {
    "architectures", "quantization_config", "transformers_version", "_name_or_path", "dtype", "torch_dtype",
    "id2label", "label2id", "problem_type",
}  # fmt: skip


class _Shrinking:
    """The fields of one configuration on their way to the twin's."""

    def __init__(self, stated: dict[str, Any], config: Any, border: int) -> None:
        self.stated, self.border = stated, border
        self.dynamic = any(rope.get("rope_type") == "dynamic" for rope in _ropes(stated.get("rope_parameters") or {}))
        heads = (value for name, value in stated.items() if _HEADS.fullmatch(name) and isinstance(value, int))
        self.heads = max(1, next(heads, HEADS))
        self.head_dim = int(stated.get("head_dim") or (stated.get("hidden_size") or HEAD_DIM) // self.heads)
        self.width, self.wide = min(self.heads, HEADS) * HEAD_DIM, getattr(config, "hidden_size", None)
        self.before = next((v for k, v in stated.items() if _LAYERS.fullmatch(k) and isinstance(v, int)), 2)
        kinds = max((_showing_all(value) for value in self._per_layer(config)), default=1)
        self.shared = min(kinds, MOST_LAYERS // 2) if stated.get("num_kv_shared_layers") else 0
        least = _DEEPER.get(str(stated.get("model_type")), 2)
        self.layers = min(self.before, 2 * self.shared or max(least, min(kinds, MOST_LAYERS)))

    def done(self) -> dict[str, Any]:
        return self._fields(self.stated) | _PECULIAR.get(str(self.stated.get("model_type")), {})

    def _per_layer(self, config: Any) -> Iterator[list[Any]]:
        names = [*self.stated, "layer_types", "layers_block_type", "attention_layers"]
        for name in names:
            value = self.stated.get(name) or (None if name in self.stated else getattr(config, name, None))
            if isinstance(value, list | tuple) and len(value) == self.before:
                yield list(value)

    def _fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {name: self._field(name, value) for name, value in fields.items()}

    def _field(self, name: str, value: Any) -> Any:
        if isinstance(value, dict) and "mrope_section" in value:
            turned = int(HEAD_DIM * value.get("partial_rotary_factor", 1.0)) // 2
            sections = _apportioned(value["mrope_section"], turned)
            return self._fields({**value, "mrope_section": None}) | {"mrope_section": sections}
        if isinstance(value, dict) and name not in ("id2label", "label2id"):
            if name == "per_layer_config":
                return {key: self._layer(each) for key, each in value.items() if int(key) < self.layers}
            return self._fields(value)
        if isinstance(value, list | tuple):
            return self._list(name, list(value))
        if name.endswith("token_id") and isinstance(value, int):
            return value % VOCABULARY
        if isinstance(value, bool) or not isinstance(value, int):
            return value
        return self._number(name, value) if value > 0 else value

    def _layer(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields in which one layer differs; its heads share keys as they did."""
        heads = self.heads
        self.heads = int(fields.get("num_attention_heads") or heads)
        try:
            return self._fields(fields)
        finally:
            self.heads = heads

    def _list(self, name: str, value: list[Any]) -> list[Any]:
        if name.endswith("token_id"):
            return [token % VOCABULARY for token in value]
        if name in ("long_factor", "short_factor"):
            length = max(1, len(value) * HEAD_DIM // self.head_dim)
            return [float(value[number * len(value) // length]) for number in range(length)]
        if len(value) == self.before:
            value = value[: self.layers]
            return [self._number("num_attention_heads", each) for each in value] if "heads" in name else value
        if value and all(type(each) is int for each in value):
            return [each for each in value if each < self.layers] or value[:1]
        return value

    def _number(self, name: str, value: int) -> int:
        if name == "mamba_d_ssm":
            return min(int(self.stated.get("mamba_n_heads") or 8), _OTHER["mamba_n_heads"]) * HEAD_DIM
        if name in _OTHER:
            return min(value, _OTHER[name])
        if name == "num_kv_shared_layers":
            return self.shared
        if _LAYERS.fullmatch(name):
            return self.layers if value == self.before else min(value, self.layers)
        if name in ("vocab_size", "unpadded_vocab_size", "decoder_vocab_size"):
            return VOCABULARY
        if _HEADS.fullmatch(name):
            return min(value, HEADS)
        if _KV_HEADS.fullmatch(name):
            return max(1, min(value, HEADS * value // self.heads))
        if _TOP_K.fullmatch(name):
            return min(value, 2)
        if _EXPERTS.fullmatch(name):
            return min(value, EXPERTS)
        if _WINDOW.fullmatch(name):
            return min(value, WINDOW)
        if _HEAD_DIM.fullmatch(name):
            return HEAD_DIM
        if name == "rotary_dim":
            return HEAD_DIM // 2
        if name == "qk_head_dim":
            return 2 * HEAD_DIM
        if _WIDTH.fullmatch(name) or name.endswith("embedding_size") or name == "attention_hidden_size":
            return self.width if value == self.wide else min(value, HEADS * HEAD_DIM)
        if _INNER.fullmatch(name):
            return min(value, 2 * HEADS * HEAD_DIM)
        if _RANK.fullmatch(name):
            return min(value, HEAD_DIM)
        if name in ("original_max_position_embeddings", "keep_window_size"):
            return self.border
        if name == "max_position_embeddings" and self.dynamic:
            return self.border
        if name in ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "context_length"):
            return min(value, POSITIONS)
        return value


def _apportioned(parts: list[int], total: int) -> list[int]:
    """Whole numbers that relate to each other as the parts do and sum up to `total`."""
    ends = [round(total * sum(parts[: number + 1]) / sum(parts)) for number in range(len(parts))]
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def _showing_all(kinds: list[Any]) -> int:
    """The length of the shortest beginning that holds every kind of the list."""
    return max(kinds.index(kind) for kind in kinds) + 1


def twin_network(
    config: PretrainedConfig, attention: str = "eager", *, seed: int = 0, within: bool = False
) -> nn.Module:
    """A network of the twin's configuration, float32 on the CPU, in which every weight and bias plays a part."""
    small = twin_config(config, within=within)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _built(config, small, attention)
        stir(text_weights(network).values())
    return network.eval()


def _built(config: PretrainedConfig, small: PretrainedConfig, attention: str) -> nn.Module:
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_MAPPING

    if is_encoder(config):
        trunk: Any = MODEL_MAPPING[type(small)]
        encoder: nn.Module = trunk._from_config(small, attn_implementation=attention, dtype=torch.float32)
        return encoder
    if has_other_towers(small):
        whole: nn.Module = with_towers_of_zeros(small, attention)
        return whole
    kind: Any = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(small), None) or MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    network: nn.Module = kind._from_config(small, attn_implementation=for_text(small, attention), dtype=torch.float32)
    return network


def is_of_transformers(network: nn.Module) -> bool:
    """Whether it is one of transformers' classes, of which a twin shortens whatever tokens look back by.

    Code that somebody brings along may look back further, under names that are unknown here.
    """
    return type(network).__module__.startswith("transformers.models.")


@torch.no_grad()
def stir(weights: Iterable[torch.Tensor]) -> None:
    """Random values where initial ones are zero, one or tiny, which would hide that a weight is not used."""
    for weight in weights:
        if weight.is_floating_point() and weight.ndim > 1 and weight.std() > 0:
            if weight.std() < SMALL:
                weight.normal_(std=1.0 / weight.shape[-1] ** 0.5)
        elif weight.is_floating_point():
            weight.add_(torch.randn_like(weight) * 2 * SMALL)
