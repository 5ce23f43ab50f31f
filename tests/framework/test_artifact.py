"""The customised model on disk, loaded by luthier, by plain peft and by plain transformers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

import luthier
from luthier.errors import RecipeError, Refused, ResourceError
from luthier.workflows import artifact_manifest
from tests.command import luthier as command

CONVERSATION = [{"role": "user", "content": "Is the violin warm?"}, {"role": "assistant", "content": "Yes, it is."}]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole network, from a run with every weight moving."""
    folder = tmp_path_factory.mktemp("full") / "run"
    done = command("debug=tiny", "stages=[fit]", "optimizer.lr=0.01", f"hydra.run.dir={folder}")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA on top of it, from a second run."""
    folder = tmp_path_factory.mktemp("lora") / "run"
    done = command(
        "debug=tiny", "model=folder", f"model.path={base / 'artifact'}", "adaptation=lora", "adaptation.rank=4",
        "optimizer.lr=0.05", "stages=[fit]", f"hydra.run.dir={folder}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def logits(network: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return network.eval()(input_ids=ids).logits


def test_a_run_leaves_an_object_that_generates_and_scores(base: Path) -> None:
    artifact = luthier.load(base)
    assert isinstance(artifact.generate([CONVERSATION[:1]])[0], str)
    scored = artifact.logprobs(CONVERSATION)
    assert scored.shape[0] > 3
    assert (scored < 0).all()


def test_a_whole_network_loads_with_plain_transformers(base: Path) -> None:
    plain = AutoModelForCausalLM.from_pretrained(base / "artifact")
    tokenizer = AutoTokenizer.from_pretrained(base / "artifact")
    ids = torch.tensor([tokenizer("The lute is old.").input_ids])
    assert tokenizer.chat_template
    torch.testing.assert_close(logits(plain, ids), logits(luthier.load(base).network, ids), atol=1e-5, rtol=1e-5)


def test_an_adapter_loads_with_plain_peft(base: Path, adapter: Path) -> None:
    plain = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base / "artifact"), adapter / "artifact")
    ids = torch.tensor([[5, 9, 12, 7]])
    ours = logits(luthier.load(adapter).network, ids)
    torch.testing.assert_close(logits(plain, ids), ours, atol=1e-5, rtol=1e-5)
    with plain.disable_adapter():
        assert (logits(plain, ids) - ours).abs().max() > 1e-3, "the adapter learned something"


def test_the_merged_export_has_the_adapted_model_s_logits(adapter: Path, tmp_path: Path) -> None:
    done = command("export", str(adapter), str(tmp_path / "plain"))
    assert done.returncode == 0, done.stderr
    ids = torch.tensor([[5, 9, 12, 7, 3]])
    merged = logits(AutoModelForCausalLM.from_pretrained(tmp_path / "plain"), ids)
    torch.testing.assert_close(merged, logits(luthier.load(adapter).network, ids), atol=2e-5, rtol=1e-4)


def test_an_adapter_is_much_smaller_than_its_network(base: Path, adapter: Path) -> None:
    sizes = [sum(file.stat().st_size for file in (run / "artifact").glob("*.safetensors")) for run in (base, adapter)]
    assert sizes[1] < sizes[0] / 5


def test_the_manifest_says_what_it_is_made_of(adapter: Path) -> None:
    manifest = json.loads((adapter / "artifact" / "manifest.json").read_text())
    assert manifest["model"]["sha256"]
    assert manifest["data"]["sha256"]
    assert manifest["packages"]["torch"]
    assert manifest["seed"] == 0
    assert len(manifest["recipe_hash"]) == 64


def test_an_adapter_is_not_put_on_other_weights(base: Path, adapter: Path, tmp_path: Path) -> None:
    other = shutil.copytree(base / "artifact", tmp_path / "other")
    plain = AutoModelForCausalLM.from_pretrained(other)
    with torch.no_grad():
        plain.lm_head.weight.add_(1)
    plain.save_pretrained(other)
    moved = shutil.copytree(adapter / "artifact", tmp_path / "adapter")
    recipe = (moved / "resolved.yaml").read_text().replace(str(base / "artifact"), str(other))
    (moved / "resolved.yaml").write_text(recipe)
    reseal(moved)
    with pytest.raises(RecipeError, match="made for weights"):
        luthier.load(moved)


def test_a_changed_file_is_noticed(adapter: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(adapter / "artifact", tmp_path / "adapter")
    weights = moved / "adapter_model.safetensors"
    flipped = bytearray(weights.read_bytes())
    flipped[-1] ^= 1
    weights.write_bytes(flipped)
    with pytest.raises(ResourceError, match="not what the run wrote"):
        luthier.load(moved)


def test_an_artifact_from_a_stranger_runs_no_code(adapter: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(adapter / "artifact", tmp_path / "adapter")
    recipe = (moved / "resolved.yaml").read_text()
    (moved / "resolved.yaml").write_text(recipe.replace("luthier.data.prompts.ChatPrompt", "os.system"))
    reseal(moved)
    with pytest.raises(Refused, match=r"os\.system"):
        luthier.load(moved)


def test_a_run_goes_on_from_an_earlier_one(adapter: Path, tmp_path: Path) -> None:
    done = command(
        "debug=tiny", "model=run", f"model.path={adapter}", "stages=[baseline]", f"hydra.run.dir={tmp_path / 'run'}"
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert np.isfinite(record["comparisons"][0]["before"]["value"])


def reseal(folder: Path) -> None:
    """A stranger can seal what he wrote: the manifest protects against accidents, trust against strangers."""
    artifact_manifest.write(folder, json.loads((folder / "manifest.json").read_text()))
