"""What must stay where a training goes on is refused by name, with both values and a way out that can be pasted."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from luthier.errors import RecipeError
from luthier.testing.twin import twin
from luthier.workflows.resumed_recipe import ResumedRecipe
from tests.command import luthier
from tests.framework.resuming.next_step import AT, COMMON, carried_out, checkpoint


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("begun") / "run"
    carried_out(folder)
    return folder


def check(start: Path, folder: Path, *words: str) -> None:
    run = twin(folder, *COMMON, *words)
    ResumedRecipe.at(start, run.composition, run.parts).check()


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("optimizer=muon", "optimizer was adamw, is muon"),
        ("adaptation=lora", "adaptation was full, is lora"),
        ("adaptation.routers=true", "adaptation.routers was false, is true"),
        ("method=cpt", "method was sft, is cpt"),
        ("method.router_aux_loss_coef=0.5", "method.router_aux_loss_coef was null, is 0.5"),
        ("model.seed=5", "model.seed was 0, is 5"),
        ("model.chat_template=chatml", "model.chat_template was null, is chatml"),
        ("seed=1", "seed was 0, is 1"),
        ("data.limit=9", "data.limit was 14, is 9"),
        ("batch.packing=true", "batch.packing was false, is true"),
        ("batch.length=64", "batch.length was 256, is 64"),
        ("batch.size=4", "batch.size was 2, is 4"),
    ],
)
def test_what_must_stay_is_refused_with_both_values(begun: Path, tmp_path: Path, word: str, said: str) -> None:
    with pytest.raises(RecipeError) as refused:
        check(checkpoint(begun, AT), tmp_path / "run", word)
    assert said in refused.value.message
    hinted = re.match("Set (.*?) again", refused.value.hint)
    assert hinted, refused.value.hint
    check(checkpoint(begun, AT), tmp_path / "again", word, *shlex.split(hinted[1]))


def test_other_rows_in_the_same_file_are_refused(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    text = '{"messages": [{"role": "user", "content": "Say %d."}, {"role": "assistant", "content": "%d"}]}\n'
    rows.write_text("".join(text % (number, number) for number in range(12)))
    words = ("data=jsonl", f"data.file={rows}")
    carried_out(tmp_path / "run", *words)
    moved = tmp_path / "moved.jsonl"
    moved.write_bytes(rows.read_bytes())
    check(checkpoint(tmp_path / "run", AT), tmp_path / "a", "data=jsonl", f"data.file={moved}")
    rows.write_text("".join(text % (number, number + 1) for number in range(12)))
    with pytest.raises(RecipeError, match="other data than that of the checkpoint"):
        check(checkpoint(tmp_path / "run", AT), tmp_path / "b", *words)


def test_what_only_a_further_step_would_heed_is_refused_where_none_is_left(begun: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"nothing is left for what has changed: optimizer\.lr was 0\.01, is 0\.5"):
        check(checkpoint(begun, 6), tmp_path / "a", "optimizer.lr=0.5")
    check(checkpoint(begun, 6), tmp_path / "b", "optimizer.lr=0.5", "trainer.max_steps=8")
    check(checkpoint(begun, 6), tmp_path / "c")
    with pytest.raises(RecipeError, match="4 optimizer steps now, and the checkpoint is of step 6") as refused:
        check(checkpoint(begun, 6), tmp_path / "d", "trainer.max_steps=4")
    assert f"resume={checkpoint(begun, 4)}" in refused.value.hint


def test_through_the_command_line_a_refusal_touches_nothing_and_its_hints_work(tmp_path: Path) -> None:
    words = (*COMMON, "name=run")
    assert luthier(*words, cwd=tmp_path).returncode == 0
    folder = tmp_path / "runs" / "run"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*") if path.name not in ("run.log", "lock")}
    start = f"resume={checkpoint(folder, AT)}"
    refused = luthier(*words, start, "optimizer=muon", cwd=tmp_path)
    assert refused.returncode == 2, refused.stderr
    assert "optimizer was adamw, is muon" in refused.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert luthier(*words, "optimizer=muon", "resume=never", cwd=tmp_path).returncode == 0
