"""Loading from folders: what loads, what is refused before anything loads, and what the settings do."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch._dynamo.utils import counters
from transformers import AutoModelForCausalLM

from luthier.contracts.trust import Trust
from luthier.errors import RecipeError, Refused, ResourceError
from luthier.models.folder import Folder
from luthier.models.random import Random


def rewrite(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def logits(network: Any) -> torch.Tensor:
    with torch.no_grad():
        return network(input_ids=torch.arange(12)[None]).logits


def test_a_saved_network_loads_with_the_logits_it_had(saved: Path, tiny: dict) -> None:
    network = Folder(path=str(saved)).network()
    torch.testing.assert_close(logits(network), logits(Random(config=tiny, vocabulary=400).network()))


def test_each_network_is_a_fresh_one(saved: Path) -> None:
    model = Folder(path=str(saved))
    first, second = model.network(), model.network()
    with torch.no_grad():
        next(first.parameters()).zero_()
    assert next(second.parameters()).any()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_dtype_is_the_one_asked_for(saved: Path, dtype: str) -> None:
    network = Folder(path=str(saved), dtype=dtype).network()  # type: ignore[arg-type]
    assert {str(weight.dtype) for weight in network.parameters()} == {f"torch.{dtype}"}


def test_dtype_auto_is_what_was_saved(saved: Path) -> None:
    Folder(path=str(saved), dtype="bfloat16").network().save_pretrained(saved)  # type: ignore[operator]
    assert next(Folder(path=str(saved), dtype="auto").network().parameters()).dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["luthier_packed", "sdpa", "eager"])
def test_the_attention_is_the_one_asked_for(saved: Path, name: str) -> None:
    network = Folder(path=str(saved), attn_implementation=name).network()
    assert network.config._attn_implementation == name  # type: ignore[union-attr]
    torch.testing.assert_close(logits(network), logits(Folder(path=str(saved)).network()))


def test_an_attention_that_does_not_exist_is_a_recipe_error(saved: Path) -> None:
    with pytest.raises(RecipeError, match="flash_attn"):
        Folder(path=str(saved), attn_implementation="flash_attn").network()


def test_a_folder_that_is_not_there_is_a_recipe_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no folder"):
        _ = Folder(path=str(tmp_path / "nowhere")).config


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.marker), "w")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pth", "model.ckpt"])
def test_pickled_weights_are_refused_and_never_loaded(saved: Path, tmp_path: Path, name: str) -> None:
    (saved / "model.safetensors").unlink()
    (saved / name).write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(Refused, match=name) as refusal:
        Folder(path=str(saved)).network()
    assert refusal.value.code == 6
    assert not (tmp_path / "ran").exists()


def test_pickled_weights_beside_safetensors_are_not_touched(saved: Path, tmp_path: Path) -> None:
    (saved / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    Folder(path=str(saved)).network()
    assert not (tmp_path / "ran").exists()


def test_a_folder_without_weights_is_a_resource_error(saved: Path) -> None:
    (saved / "model.safetensors").unlink()
    with pytest.raises(ResourceError, match="no weights"):
        Folder(path=str(saved)).network()


CODE = [
    ("config.json", {"auto_map": {"AutoConfig": "evil.Config"}, "model_type": "evil"}),
    ("config.json", {"auto_map": {"AutoModelForCausalLM": "evil.Net"}}),
    ("config.json", {"text_config": {"auto_map": {"AutoConfig": "evil.Config"}}}),
    ("config.json", {"text_config": {"trust_remote_code": True}}),
    ("config.json", {"attn_implementation": "someone/kernel"}),
    ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.Tok", "evil.Tok"]}, "tokenizer_class": "Tok"}),
    ("processor_config.json", {"auto_map": {"AutoProcessor": "evil.Processor"}}),
    ("generation_config.json", {"trust_remote_code": "yes"}),
]

EVIL = "class Config: ...\nclass Net: ...\nclass Tok: ...\nclass Processor: ...\n"


@pytest.mark.parametrize(("file", "changes"), CODE)
def test_a_model_that_brings_code_of_its_own_is_refused_and_the_code_never_runs(
    saved: Path, tmp_path: Path, file: str, changes: dict
) -> None:
    marker = tmp_path / "ran"
    (saved / "evil.py").write_text(f"open({str(marker)!r}, 'w').close()\n" + EVIL)
    (saved / file).touch()
    (saved / file).write_text((saved / file).read_text() or "{}")
    rewrite(saved / file, **changes)
    for ask in (lambda m: m.config, lambda m: m.tokenizer, lambda m: m.network()):
        with pytest.raises(Refused, match=r"code of its own") as refusal:
            ask(Folder(path=str(saved)))
        assert refusal.value.code == 6
        assert refusal.value.hint == f"Read that code; then vouch for it with --trust {saved}."
    assert not marker.exists()


def test_code_runs_only_for_a_model_that_was_vouched_for(saved: Path, tmp_path: Path, monkeypatch: Any) -> None:
    marker = tmp_path / "ran"
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    (saved / "own.py").write_text(
        f"from transformers import LlamaConfig\nopen({str(marker)!r}, 'w').close()\n"
        "class Config(LlamaConfig):\n    model_type = 'own'\n"
    )
    rewrite(saved / "config.json", auto_map={"AutoConfig": "own.Config"}, model_type="own")
    model = Folder(Trust(frozenset({str(saved)})), path=str(saved))
    assert type(model.config).__name__ == "Config"
    assert marker.exists()


def test_a_damaged_file_of_weights_is_named(saved: Path) -> None:
    file = saved / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(ResourceError, match=r"model\.safetensors"):
        Folder(path=str(saved)).network()


def test_weights_that_are_missing_are_never_made_up(saved: Path) -> None:
    weights = load_file(saved / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, saved / "model.safetensors", {"format": "pt"})
    with pytest.raises(RecipeError, match=r"layers\.1\.mlp\.up_proj"):
        Folder(path=str(saved)).network()


def test_weights_in_several_files_load_and_a_missing_one_is_named(saved: Path) -> None:
    expected = logits(Folder(path=str(saved)).network())
    AutoModelForCausalLM.from_pretrained(saved).save_pretrained(saved, max_shard_size="40KB")
    (saved / "model.safetensors").unlink(missing_ok=True)
    parts = sorted(saved.glob("model-*.safetensors"))
    assert len(parts) > 1
    torch.testing.assert_close(logits(Folder(path=str(saved)).network()), expected)
    parts[-1].unlink()
    with pytest.raises(ResourceError, match=parts[-1].name):
        Folder(path=str(saved)).network()


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "pytorch_model.bin"])
def test_an_index_that_leads_out_of_its_folder_is_refused(saved: Path, name: str) -> None:
    index = {"metadata": {}, "weight_map": {"model.embed_tokens.weight": name}}
    (saved / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(Refused):
        Folder(path=str(saved)).network()


def test_an_unknown_architecture_is_a_recipe_error(saved: Path) -> None:
    rewrite(saved / "config.json", model_type="nobody_knows")
    with pytest.raises(RecipeError, match="nobody_knows"):
        _ = Folder(path=str(saved)).config


def saved_for_backward(network: Any) -> int:
    """Bytes that autograd keeps between the forward and the backward pass."""
    kept = 0

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        return tensor

    network.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(input_ids=torch.arange(200)[None] % 300, use_cache=False).logits.sum()
    return kept


def gradients(network: Any) -> dict[str, torch.Tensor]:
    network.train()
    out = network(input_ids=torch.arange(12)[None], use_cache=False).logits
    out.float().log_softmax(-1)[..., 0].sum().backward()
    return {name: weight.grad for name, weight in network.named_parameters()}


def test_gradient_checkpointing_keeps_less_and_changes_no_gradient(saved: Path) -> None:
    plain, spared = Folder(path=str(saved)), Folder(path=str(saved), gradient_checkpointing=True)
    assert saved_for_backward(spared.network()) < 0.5 * saved_for_backward(plain.network())
    torch.testing.assert_close(gradients(spared.network()), gradients(plain.network()))


def test_compiling_compiles_each_layer_and_changes_no_logit_and_no_name(saved: Path, monkeypatch: Any) -> None:
    # graphs are captured as always, and run as they are: half a minute of generating C++ would test torch, not this
    monkeypatch.setattr("torch._inductor.compile_fx.compile_fx", lambda graph, inputs, **settings: graph.forward)
    torch._dynamo.reset()
    counters.clear()
    network = Folder(path=str(saved), compile=True).network()
    expected = logits(Folder(path=str(saved)).network())
    assert counters["stats"]["unique_graphs"] == 0
    torch.testing.assert_close(logits(network), expected, rtol=1e-4, atol=1e-5)
    assert counters["stats"]["unique_graphs"] > 0
    assert set(network.state_dict()) == set(Folder(path=str(saved)).network().state_dict())


def test_the_lineage_holds_the_hash_of_the_weights(saved: Path) -> None:
    before = Folder(path=str(saved)).lineage()
    weights = load_file(saved / "model.safetensors")
    weights["model.norm.weight"][0] += 1
    save_file(weights, saved / "model.safetensors", {"format": "pt"})
    after = Folder(path=str(saved)).lineage()
    assert before["kind"] == "folder"
    assert len(before["sha256"]) == 64
    assert before["sha256"] != after["sha256"]


def test_weights_of_other_shapes_are_refused_by_name(saved: Path) -> None:
    rewrite(saved / "config.json", intermediate_size=96)
    with pytest.raises(RecipeError, match=r"do not fill the network: 6 are missing, .*mlp.down_proj.weight"):
        Folder(path=str(saved)).network()
