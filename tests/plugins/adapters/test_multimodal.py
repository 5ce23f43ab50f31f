"""Adaptations of whole networks that read more than text: towers stay, and plain transformers loads the result."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoModelForMultimodalLM

from luthier.contracts.model import LoadedModel
from luthier.errors import RecipeError
from luthier.models.adaptation import FullFineTuning
from luthier.models.added_tokens import adapt
from luthier.models.folder import Folder
from luthier.models.modalities import check_gradients, text_weights
from luthier.models.wrappers import unwrapped
from luthier_adapters.bottleneck import Bottleneck
from luthier_adapters.ia3 import Ia3
from luthier_adapters.lisa import Lisa
from luthier_adapters.lora import Lora
from luthier_adapters.orthogonal import Oft
from luthier_adapters.principal import Pissa
from luthier_adapters.products import LoHa
from luthier_adapters.selective import BitFit, Freeze
from luthier_adapters.vera import Vera
from luthier_prefix.prefix import Prefix
from luthier_prefix.prompt_tuning import PromptTuning
from tests.framework.multimodal.families import FAMILIES, SPECIAL, save
from tests.rounding import rounding

IDS = torch.tensor([[11, 200, 35, 7, 301, 99, 12, 13, 250]])
NAMED = ["q_proj", "v_proj"]  # the towers of most families have modules of these names, too
ADAPTATIONS: dict[str, Callable[[], Any]] = {
    "lora": lambda: Lora(rank=4),
    "lora of named modules": lambda: Lora(rank=4, targets=NAMED),
    "lora of a pattern": lambda: Lora(rank=4, targets=r".*\.(q_proj|down_proj)"),
    "dora": lambda: Lora(rank=4, dora=True),
    "full": FullFineTuning,
    "lisa": Lisa,
    "ia3": Ia3,
    "vera": lambda: Vera(rank=8),
    "vera of named modules": lambda: Vera(rank=8, targets=NAMED),
    "oft": lambda: Oft(block=8),
    "loha": lambda: LoHa(rank=4),
    "pissa": lambda: Pissa(rank=2),
    "bottleneck": Bottleneck,
    "bitfit": lambda: BitFit(norms=True),
    "freeze": lambda: Freeze(last=1, also=["*norm*"]),
    "prefix": lambda: Prefix(virtual_tokens=3),
    "prompt_tuning": lambda: PromptTuning(virtual_tokens=3),
}
NOT_MERGED = {"bottleneck", "prefix", "prompt_tuning"}
REFUSED = {
    ("gemma4", "prefix"): "keys of different shapes",
    ("gemma4", "prompt_tuning"): "an embedding of the token itself",
    ("mllama", "prompt_tuning"): "PEFT does not find the embeddings",
}
EVERY = [family for family in [*FAMILIES, *SPECIAL] if family != "paligemma"]  # which is refused when it is loaded
CHOSEN = [
    *(pytest.param(family, "lora") for family in EVERY),
    *(pytest.param("gemma4", name) for name in ADAPTATIONS if name != "lora"),
    *(pytest.param(family, "full", marks=pytest.mark.exhaustive) for family in EVERY),
    *(pytest.param("qwen2_5_vl", name, marks=pytest.mark.exhaustive) for name in ADAPTATIONS if name != "lora"),
    *(pytest.param("mllama", name, marks=pytest.mark.exhaustive) for name in ADAPTATIONS if name != "lora"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[str], Path]:
    return lambda family: save(family, tmp_path / family)


@pytest.mark.parametrize(("family", "name"), CHOSEN)
def test_only_what_text_passes_through_is_adapted_and_plain_transformers_loads_it(folder, tmp_path, family, name):
    base, adaptation = folder(family), ADAPTATIONS[name]()
    model = Folder(path=str(base))
    if refusal := REFUSED.get((family, name)):
        with pytest.raises(RecipeError, match=refusal):
            adapted(adaptation, model)
        return
    network = adapted(adaptation, model)
    assert check_gradients(network) == ""
    moved(network)
    found, near = logits(network), {"rtol": 0.0, "atol": rounding(network, IDS)}
    saved, exported = tmp_path / "artifact", tmp_path / "exported"
    saved.mkdir()
    adaptation.save(network, saved)
    torch.testing.assert_close(logits(adaptation.load(model, saved)), found, **near)
    if (plain := loaded_plainly(base, saved)) is not None:
        torch.testing.assert_close(logits(plain), found, **near)
    if name in NOT_MERGED:
        return
    adaptation.merge(network).save_pretrained(exported)
    torch.testing.assert_close(logits(loaded_plainly(base, exported)), found, **near)
    before, after = load_file(base / "model.safetensors"), load_file(exported / "model.safetensors")
    assert before.keys() == after.keys(), "the names under which the whole network is known"
    whole = plain_whole(base)
    first, of_text = dict(whole.named_parameters()), text_weights(whole)
    for weight_name, weight in plain_whole(exported).named_parameters():
        assert weight_name in of_text or torch.equal(weight, first[weight_name])


def test_a_tower_is_adapted_where_it_is_named(folder):
    model = Folder(path=str(folder("llava")))
    named = Lora(rank=2, targets=r".*(language_model.*q_proj|vision_tower.*layers\.0.*k_proj)")
    network = adapted(named, model)
    assert adapted_modules(network) == {
        "model.language_model.layers.0.self_attn.q_proj", "model.language_model.layers.1.self_attn.q_proj",
        "model.vision_tower.encoder.layers.0.self_attn.k_proj",
    }  # fmt: skip
    assert "trainable weights of model.vision_tower get no gradient" in check_gradients(network)


def test_a_name_in_a_list_reaches_a_tower_alone_that_it_names(folder):
    model = Folder(path=str(folder("llava")))
    tower = "model.vision_tower.encoder.layers.0.self_attn.k_proj"
    network = adapted(Lora(rank=2, targets=["q_proj", tower]), model)
    assert {name for name in adapted_modules(network) if "vision" in name} == {tower}


@pytest.mark.parametrize("targets", [["qkv"], r".*\.qkv"])
def test_modules_of_a_tower_alone_are_refused_by_its_name(folder, targets):
    with pytest.raises(RecipeError, match=r"model\.visual alone, which no text passes through"):
        adapted(Lora(targets=targets), Folder(path=str(folder("qwen2_vl"))))


def test_training_nothing_but_a_tower_is_refused(folder):
    network = adapted(Lora(rank=2, targets=r".*visual.*\.qkv"), Folder(path=str(folder("qwen2_vl"))))
    with pytest.raises(RecipeError, match=r"Only weights of model\.visual would be trained"):
        check_gradients(network)


def test_freeze_reaches_a_tower_where_a_pattern_names_it(folder):
    model = Folder(path=str(folder("llava")))
    network = Freeze(last=0, also=["*norm*"])(model.network())
    assert not any(".vision_tower." in name for name, weight in network.named_parameters() if weight.requires_grad)
    network = Freeze(last=1, also=["*vision_tower*norm*"])(model.network())
    assert any(".vision_tower." in name for name, weight in network.named_parameters() if weight.requires_grad)
    with pytest.raises(RecipeError, match="matches weights alone that no text passes through"):
        Freeze(last=1, also=["*patch_embedding*"])(model.network())


def test_a_base_of_four_bits_keeps_its_towers_as_they_are(folder):
    pytest.importorskip("bitsandbytes")
    from luthier_adapters.quantized import Qlora

    model = Folder(path=str(folder("llava")))
    network = Qlora(rank=2)(model.network())
    inner: Any = unwrapped(network)
    assert all(type(module).__name__ != "Linear4bit" for module in inner.model.vision_tower.modules())
    assert type(inner.model.language_model.layers[0].mlp.up_proj.base_layer).__name__ == "Linear4bit"


def adapted(adaptation: Any, model: Folder) -> nn.Module:
    return adapt(adaptation, LoadedModel.of(model, model.network()))


def adapted_modules(network: nn.Module) -> set[str]:
    return {name for name, module in unwrapped(network).named_modules() if hasattr(module, "lora_A")}


def moved(network: nn.Module) -> None:
    """Move what is trained, each weight by as much as training would in some steps."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape, generator=generator) * 0.02)


@torch.no_grad()
def logits(network: Any) -> Tensor:
    found: Tensor = network.eval()(input_ids=IDS, attention_mask=torch.ones_like(IDS)).logits
    return found[:, -IDS.shape[1] :]  # of the text, where virtual tokens have theirs before it


def plain_whole(folder: Path) -> nn.Module:
    """By the class that config.json names, as anybody loads it."""
    named = json.loads((folder / "config.json").read_text())["architectures"][0]
    network: nn.Module = getattr(transformers, named).from_pretrained(folder)
    return network


def loaded_plainly(base: Path, folder: Path) -> nn.Module | None:
    if (folder / "adapter_config.json").is_file():
        adapter: nn.Module = PeftModel.from_pretrained(AutoModelForMultimodalLM.from_pretrained(base), folder)
        return adapter
    return plain_whole(folder) if (folder / "config.json").is_file() else None
