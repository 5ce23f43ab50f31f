"""What cannot work is refused before anything loads, and so are contradicting settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.errors import RecipeError
from luthier.testing.adaptation import train
from luthier.testing.twin import composer, twin
from luthier_prefix.p_tuning import PTuning
from luthier_prefix.prefix import Prefix
from luthier_prefix.prompt_tuning import PromptTuning
from tests.command import luthier


def test_another_attention_is_refused_before_anything_loads(tmp_path: Path) -> None:
    done = luthier("debug=tiny", "adaptation=prefix", "model.attn_implementation=eager", cwd=tmp_path)
    assert done.returncode == 2
    assert "model.attn_implementation=eager cannot put virtual tokens before each sequence" in done.stderr
    assert not list(tmp_path.rglob("run.log"))


@pytest.mark.parametrize("answer", ["prefix", "prompt_tuning", "p_tuning"])
def test_it_is_refused_for_every_answer_and_for_no_other_adaptation(answer: str) -> None:
    with pytest.raises(RecipeError, match="attn_implementation=sdpa"):
        composer().compose(["debug=tiny", f"adaptation={answer}", "model.attn_implementation=sdpa"])
    composer().compose(["debug=tiny", "adaptation=lora", "model.attn_implementation=sdpa"])
    composer().compose(["debug=tiny", f"adaptation={answer}"])


def test_a_text_that_does_not_fit_is_refused_with_its_number_of_tokens(tmp_path: Path) -> None:
    words = ("adaptation=prompt_tuning", "adaptation.text='Say what the review thinks of it:'")
    with pytest.raises(RecipeError, match=r"has (\d+) tokens, and there are 2\. Set adaptation\.virtual_tokens=\1\."):
        twin(tmp_path / "run", *words, "adaptation.virtual_tokens=2", "stages=[fit]").carry_out()


def test_virtual_tokens_start_as_the_words_of_the_text(tmp_path: Path) -> None:
    words = ("adaptation=prompt_tuning", "adaptation.text=wood", "adaptation.virtual_tokens=7", "optimizer.lr=0.0")
    done = train(tmp_path / "run", *words, "stages=[fit]")
    ids = done.run.model.tokenizer("wood", add_special_tokens=False)["input_ids"]
    expected = done.network.get_input_embeddings().weight[(ids * 7)[:7]]
    assert (done.network.prompt_encoder["default"].embedding.weight == expected).all()


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(RecipeError, match="either from a text or at random"):
        PromptTuning(text="Say why:", init="random")
    with pytest.raises(RecipeError, match="reparameterise=false leaves out"):
        Prefix(reparameterise=False, hidden=8)
    with pytest.raises(RecipeError, match="at least 1 virtual token"):
        PTuning(virtual_tokens=0)


def test_virtual_tokens_are_neither_merged_nor_stacked(tmp_path: Path) -> None:
    first = train(tmp_path / "first", "adaptation=prompt_tuning", "stages=[fit]")
    behind = ("model=run", f"model.path={first.folder}", "stages=[fit]")
    with pytest.raises(RecipeError, match="cannot be merged"):
        twin(tmp_path / "merged", *behind).carry_out()
    with pytest.raises(RecipeError, match="another adaptation would not keep it"):
        twin(tmp_path / "twice", *behind, "model.merge=false", "adaptation=prefix").carry_out()
