"""Adapters of architectures whose names transformers changes as it loads a checkpoint, and PEFT with it."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import CONFIG_MAPPING

from luthier.errors import ResourceError
from luthier.models.adaptation import with_saved_adapter
from luthier.models.twin import twin_network
from luthier_adapters.lora import Lora

NARROW = {
    "mistral_large4": {
        "vision_config": {
            "model_type": "pixtral", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
            "num_attention_heads": 2, "head_dim": 16, "image_size": 28, "patch_size": 14,
        }
    }
}  # fmt: skip
"""A tower for images that is copied in no time: its own has 1.6 billion weights."""
IDS = torch.tensor([[11, 20, 35, 7, 30, 9]])


@pytest.mark.parametrize("architecture", ["laguna", "mistral_large4", "unlimited_ocr", "deepseek_ocr2", "mixtral"])
@pytest.mark.parametrize("experts", [False, True])
def test_an_adapter_finds_its_places_in_plain_peft_and_here(architecture: str, experts: bool, tmp_path: Path) -> None:
    base = twin_network(tiny(architecture))
    lora = Lora(rank=2, experts=experts)
    network = lora(deepcopy(base))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape, generator=generator) * 0.05)
    lora.save(network, tmp_path)
    found = logits(network)
    assert (found - logits(base)).abs().max() > 1e-3
    torch.testing.assert_close(logits(PeftModel.from_pretrained(deepcopy(base), tmp_path)), found, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(logits(with_saved_adapter(deepcopy(base), tmp_path)), found, atol=1e-5, rtol=1e-5)


def tiny(architecture: str) -> object:
    from tests.framework.multimodal.families import FAMILIES

    return CONFIG_MAPPING[architecture](**deepcopy({**FAMILIES, **NARROW}.get(architecture, {})))


@torch.no_grad()
def logits(network: nn.Module) -> Tensor:
    found: Tensor = network.eval()(input_ids=IDS, use_cache=False).logits
    return found


def test_an_adapter_without_its_weights_is_refused_and_looked_for_nowhere_else(tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(ResourceError, match=r"has no weights: there is no adapter_model\.safetensors"):
        with_saved_adapter(nn.Linear(1, 1), tmp_path)
