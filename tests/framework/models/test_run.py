"""What an earlier run left as the start of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from luthier.config.instantiate import instantiate
from luthier.errors import RecipeError
from luthier.inference.predictor import NetworkPredictor
from luthier.records.folder import RunFolder
from luthier.workflows import artifact_saving
from luthier.workflows.earlier_run import EarlierRun

FULL = {"_target_": "luthier.models.adaptation.FullFineTuning"}
LORA = {"_target_": "luthier_adapters.lora.Lora", "rank": 4}


def leave(
    folder: Path, tiny: dict[str, Any], adaptation: dict[str, Any], trained: bool = True
) -> tuple[Path, torch.Tensor]:
    """The artifact of a run that changed its weights, and the logits it had."""
    recipe = OmegaConf.create(
        {
            "model": {"_target_": "luthier.models.random.Random", "config": tiny, "vocabulary": 400},
            "adaptation": adaptation,
            "prompt": {"_target_": "luthier.data.prompts.ChatPrompt"},
        }
    )
    model, how = instantiate(recipe.model), instantiate(recipe.adaptation)
    network = how(model.network())
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.requires_grad and trained:
                weight.add_(torch.randn_like(weight) * 0.1)
    tokenizer = model.tokenizer
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}trained"
    facts = {"model": model.lineage(), "needs_base": how.needs_base or not trained, "trained": trained}
    moved = NetworkPredictor(network, tokenizer, instantiate(recipe.prompt)) if trained else None
    artifact_saving.save(
        tokenizer, instantiate(recipe.prompt), moved, how, RunFolder(folder), recipe=recipe, facts=facts
    )
    return folder, logits(network.eval())


def logits(network: Any) -> torch.Tensor:
    with torch.no_grad():
        return network(input_ids=torch.arange(12)[None]).logits


@pytest.mark.parametrize("adaptation", [FULL, LORA], ids=["full", "lora"])
@pytest.mark.parametrize("merge", [True, False])
def test_a_run_goes_on_from_what_the_earlier_one_learned(tmp_path, tiny, adaptation: dict, merge: bool) -> None:
    folder, expected = leave(tmp_path / "first", tiny, adaptation)
    network = EarlierRun(path=str(folder), merge=merge).network()
    torch.testing.assert_close(logits(network), expected, rtol=1e-4, atol=1e-5)
    assert hasattr(network, "peft_config") == (adaptation is LORA and not merge)


@pytest.mark.parametrize("adaptation", [FULL, LORA], ids=["full", "lora"])
def test_a_run_that_moved_no_weight_is_the_model_it_started_from(tmp_path, tiny, adaptation: dict) -> None:
    folder, expected = leave(tmp_path / "first", tiny, adaptation, trained=False)
    model = EarlierRun(path=str(folder))
    torch.testing.assert_close(logits(model.network()), expected, rtol=1e-4, atol=1e-5)
    assert model.lineage()["sha256"] == model.lineage()["parent"].get("sha256")


def test_the_tokenizer_is_the_one_that_was_trained_with(tmp_path, tiny) -> None:
    folder, _ = leave(tmp_path / "first", tiny, LORA)
    tokenizer = EarlierRun(path=str(folder)).tokenizer
    assert tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False) == "hitrained"
    assert tokenizer.model_max_length == 256


@pytest.mark.parametrize("adaptation", [FULL, LORA], ids=["full", "lora"])
def test_the_architecture_is_known(tmp_path, tiny, adaptation: dict) -> None:
    folder, _ = leave(tmp_path / "first", tiny, adaptation)
    assert EarlierRun(path=str(folder)).config.hidden_size == 32


def test_the_settings_of_loading_are_those_of_this_recipe(tmp_path, tiny) -> None:
    folder, _ = leave(tmp_path / "first", tiny, LORA)
    settings: dict[str, Any] = {"attn_implementation": "eager", "gradient_checkpointing": True, "dtype": "bfloat16"}
    network: Any = EarlierRun(path=str(folder), **settings).network()
    assert network.config._attn_implementation == "eager"
    assert network.is_gradient_checkpointing
    assert next(network.parameters()).dtype == torch.bfloat16


def test_the_lineage_leads_back_to_the_first_model(tmp_path, tiny) -> None:
    folder, _ = leave(tmp_path / "first", tiny, LORA)
    found = EarlierRun(path=str(folder)).lineage()
    assert found["kind"] == "run"
    assert found["parent"]["kind"] == "random"
    assert len(found["sha256"]) == 64


def test_a_folder_that_no_run_left_is_a_recipe_error(saved: Path) -> None:
    with pytest.raises(RecipeError, match="no artifact"):
        _ = EarlierRun(path=str(saved)).config
