"""What an earlier run left, as the start of another: merged, or not changed at all, so that nothing of it is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file

import luthier
from luthier.errors import RecipeError
from luthier.testing.adaptation import logits, train
from luthier.testing.twin import twin
from luthier_adapters.adalora import AdaLora
from luthier_adapters.bottleneck import Bottleneck
from luthier_adapters.lisa import Lisa
from luthier_adapters.selective import Freeze

SECOND = ("full", "lora", "freeze", "bottleneck")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("first"), "adaptation=bottleneck", "stages=[fit]").folder


@pytest.mark.parametrize("second", SECOND)
def test_no_adaptation_covers_the_adapter_of_an_earlier_run(first: Path, second: str, tmp_path: Path) -> None:
    words = ("model=run", f"model.path={first}", "model.merge=false", "stages=[fit]", f"adaptation={second}")
    with pytest.raises(RecipeError, match="another adaptation would not keep it"):
        twin(tmp_path / second, *words).carry_out()


def test_a_run_that_only_measures_takes_it_as_it_is(first: Path, tmp_path: Path) -> None:
    run = twin(tmp_path / "again", "model=run", f"model.path={first}", "model.merge=false", "stages=[evaluate]")
    run.method.load()
    assert (logits(run.method.network.eval()) == logits(luthier.load(first).network)).all()


def test_an_adapter_of_other_settings_does_not_stand_beside_a_bottleneck(first: Path, tmp_path: Path) -> None:
    other = train(tmp_path / "other", "adaptation=bottleneck", "adaptation.activation=relu", "stages=[fit]").folder
    with pytest.raises(RecipeError, match="Only what the same adaptation"):
        luthier.load(first).add(other, "other")


def test_embeddings_that_are_tied_to_the_head_are_merged_apart_from_it(tmp_path: Path) -> None:
    tied = ("model.config.tie_word_embeddings=true", "adaptation=lora", "adaptation.targets=[embed_tokens,q_proj]")
    run = train(tmp_path / "tied", *tied, "optimizer.lr=0.05", "stages=[fit]").folder
    adapted, merged = logits(luthier.load(run).network), luthier.load(run).merged()
    assert merged.config.tie_word_embeddings is False
    assert (logits(merged) - adapted).abs().max() < 1e-5


def test_an_adapter_of_a_base_on_disk_holds_no_table_of_the_base(tmp_path: Path) -> None:
    base = train(tmp_path / "base", "adaptation=full", "stages=[fit]").folder
    luthier.load(base).export(tmp_path / "plain")
    words = ("model=folder", f"model.path={tmp_path / 'plain'}", "adaptation=lora", "adaptation.targets=[embed_tokens]")
    run = train(tmp_path / "adapter", *words, "stages=[fit]").folder
    saved = load_file(run / "artifact" / "adapter_model.safetensors")
    assert all("lora_" in name for name in saved), list(saved)


@pytest.mark.parametrize(
    "make",
    [lambda: Lisa(every=0), lambda: Lisa(layers=-1), lambda: Freeze(first=-1), lambda: AdaLora(every=0),
     lambda: Bottleneck(reduction=0)],
)  # fmt: skip
def test_numbers_that_mean_nothing_are_refused(make) -> None:
    with pytest.raises(RecipeError):
        make()
