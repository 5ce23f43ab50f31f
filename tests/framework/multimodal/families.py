"""Tiny whole networks of the families that read more than text: real classes, random weights, and a tokenizer."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForMultimodalLM

from luthier.models.bpe import byte_level_bpe

TOKENS = 400
TEXT: dict[str, Any] = {
    "vocab_size": TOKENS, "hidden_size": 64, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 256, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
VISION: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip
QWEN_VISION: dict[str, Any] = {
    "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 4, "out_hidden_size": 64, "patch_size": 8,
}  # fmt: skip
EXPERTS: dict[str, Any] = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
DEEPSEEK: dict[str, Any] = {
    **TEXT, "num_key_value_heads": 4, "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
    "n_shared_experts": 1, "n_group": 1, "topk_group": 1, "mlp_layer_types": ["dense", "sparse"],
}  # fmt: skip
SAM: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 32, "patch_size": 8,
    "window_size": 2, "global_attn_indexes": [1], "mlp_dim": 48, "output_channels": 16,
}  # fmt: skip
"""A tower that looks its attention up in a dict of its own."""


def mrope(*sections: int, **more: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": list(sections), **more}}


FAMILIES: dict[str, dict[str, Any]] = {
    "aya_vision": {"text_config": {**TEXT, "sliding_window": 16}, "vision_config": VISION},
    "deepseek_ocr2": {
        "text_config": DEEPSEEK,
        "vision_config": {
            "sam_config": {**SAM, "downsample_channels": [16, 32]}, "encoder_config": {**TEXT, "hidden_size": 32},
        },
    },
    "deepseek_vl_hybrid": {
        "text_config": {**TEXT, "model_type": "llama"},
        "vision_config": {**VISION, "model_type": "siglip_vision_model"},
        "high_res_vision_config": {**SAM, "model_type": "sam_vision_model"},
    },
    "gemma3": {"text_config": {**TEXT, "sliding_window": 16}, "vision_config": VISION, "mm_tokens_per_image": 4},
    "glm4v": {"text_config": {**TEXT, **mrope(2, 1, 1, partial_rotary_factor=0.5)}, "vision_config": QWEN_VISION},
    "idefics3": {"text_config": {**TEXT, "model_type": "llama"}, "vision_config": VISION},
    "internvl": {
        "text_config": {**TEXT, "model_type": "qwen2"},
        "vision_config": {**VISION, "image_size": [32, 32], "patch_size": [8, 8]},
    },
    "llama4": {
        "text_config": {
            **TEXT, "intermediate_size_mlp": 48, "num_local_experts": 2, "interleave_moe_layer_step": 2,
            "attention_chunk_size": 32,
        },
        "vision_config": {**VISION, "vision_output_dim": 32, "projector_input_dim": 32, "projector_output_dim": 32},
    },
    "llava": {
        "text_config": {**TEXT, "model_type": "llama"},
        "vision_config": {**VISION, "model_type": "clip_vision_model"},
    },
    "llava_onevision": {
        "text_config": {**TEXT, "model_type": "qwen2"},
        "vision_config": {**VISION, "model_type": "siglip_vision_model"},
    },
    "mistral3": {"text_config": {**TEXT, "model_type": "mistral"}, "vision_config": {**VISION, "head_dim": 8}},
    "mllama": {
        "text_config": {**TEXT, "cross_attention_layers": [1]},
        "vision_config": {
            "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_global_layers": 1,
            "attention_heads": 4, "vision_output_dim": 64, "image_size": 32, "patch_size": 8, "max_num_tiles": 4,
            "intermediate_layers_indices": [0],
        },
    },
    "qwen2_5_vl": {
        "text_config": {**TEXT, **mrope(2, 3, 3)},
        "vision_config": {**QWEN_VISION, "fullatt_block_indexes": [1]},
    },
    "qwen2_vl": {
        "text_config": {**TEXT, **mrope(2, 3, 3)},
        "vision_config": {"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 4, "patch_size": 8},
    },
    "qwen3_vl": {
        "text_config": {**TEXT, **mrope(2, 3, 3)},
        "vision_config": {**QWEN_VISION, "deepstack_visual_indexes": [0], "num_position_embeddings": 16},
    },
    "qwen3_vl_moe": {
        "text_config": {**TEXT, **EXPERTS, **mrope(2, 3, 3)},
        "vision_config": {**QWEN_VISION, "deepstack_visual_indexes": [0], "num_position_embeddings": 16},
    },
    "unlimited_ocr": {
        "text_config": DEEPSEEK,
        "vision_config": {
            "sam_config": {**SAM, "downsample_channels": [16, 32]}, "encoder_config": {**VISION, "image_size": 8},
        },
    },
    "smolvlm": {"text_config": {**TEXT, "model_type": "llama"}, "vision_config": VISION},
    "qwen2_audio": {
        "text_config": {**TEXT, "model_type": "qwen2"},
        "audio_config": {
            "d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 48, "num_mel_bins": 8,
            "max_source_positions": 8,
        },
    },
}  # fmt: skip
"""The settings of each family's configuration, by its model type."""
SPECIAL: dict[str, dict[str, Any]] = {
    "gemma4": {
        "text_config": {
            **TEXT, "sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"],
            "vocab_size_per_layer_input": TOKENS, "hidden_size_per_layer_input": 8,
        },
        "vision_config": {
            "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 4, "head_dim": 8, "position_embedding_size": 16,
        },
        "audio_config": {
            "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "output_proj_dims": 32,
            "subsampling_conv_channels": [8, 4],
        },
    },
    "qwen3_5": {
        "text_config": {
            **TEXT, "linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 8,
            "linear_value_head_dim": 8, "layer_types": ["linear_attention", "full_attention"],
            **mrope(2, 1, 1, partial_rotary_factor=0.5),
        },
        "vision_config": {**QWEN_VISION, "num_position_embeddings": 16},
    },
    "paligemma": {
        "text_config": {**TEXT, "model_type": "gemma"},
        "vision_config": {**VISION, "model_type": "siglip_vision_model", "projection_dim": 64}, "projection_dim": 64,
    },
}  # fmt: skip


def network_of(family: str) -> Any:
    """A whole network of a family, float32, the same each time."""
    config = AutoConfig.for_model(family, **deepcopy({**FAMILIES, **SPECIAL}[family]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModelForMultimodalLM.from_config(config).eval()


def save(family: str, folder: Path) -> Path:
    """A folder as transformers saves a model, its tokenizer and its processor."""
    network_of(family).save_pretrained(folder)
    byte_level_bpe(TOKENS).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_processor_type": "AnImageProcessor"}))
    (folder / "processor_config.json").write_text(json.dumps({"processor_class": "AProcessor", "chat_template": "no"}))
    return folder
