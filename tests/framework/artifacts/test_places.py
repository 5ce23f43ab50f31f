"""An artifact works from any folder, beside its base or moved with it, and says what it needs where that is gone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

import luthier
from luthier.testing.adaptation import logits
from luthier.workflows.places import places, remember_places, with_places, with_revisions
from tests.command import luthier as command

QUICK = ("debug=tiny", "stages=[fit]", "optimizer.lr=0.05", "adaptation.rank=2", "evaluation.general_examples=0")
ROW = '{{"messages": [{{"role": "user", "content": "Which {}?"}}, {{"role": "assistant", "content": "This {}."}}]}}\n'


def carried_out(*words: str, cwd: Path) -> None:
    done = command(*words, cwd=cwd)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base in a folder, an adapter of it, and an adapter of that run, all named by relative paths."""
    project = tmp_path_factory.mktemp("made") / "project"
    project.mkdir()
    (project / "rows.jsonl").write_text("".join(ROW.format(number, number) for number in range(12)))
    full = ("adaptation=full", "adaptation.rank=null")
    carried_out(*QUICK[:3], full[0], "hydra.run.dir=whole", cwd=project)
    carried_out("export", "whole", "base", cwd=project)
    data = ("data=jsonl", "data.file=rows.jsonl", "data.splits.test=0.4")
    words = ("model=folder", "model.path=base", "adaptation=lora", *data)
    carried_out(*QUICK, *words, "hydra.run.dir=runs/first", cwd=project)
    carried_out(
        *QUICK, "model=run", "model.path=./runs/first", "adaptation=lora", "hydra.run.dir=runs/second", cwd=project
    )
    return project


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """A copy of the project, while the place where it was made is empty."""
    gone = made.with_name("gone")
    made.rename(gone)
    try:
        yield shutil.copytree(gone, tmp_path / "copied")
    finally:
        gone.rename(made)


def test_from_another_folder_artifacts_answer_as_where_they_were_made(made, tmp_path, monkeypatch):
    monkeypatch.chdir(made)
    here = {run: logits(luthier.load(f"runs/{run}").network) for run in ("first", "second")}
    monkeypatch.chdir(tmp_path)
    for run, expected in here.items():
        assert torch.equal(logits(luthier.load(made / "runs" / run).network), expected)
    (tmp_path / "link").symlink_to(made / "runs" / "second" / "artifact")
    assert torch.equal(logits(luthier.load("link").network), here["second"])


def test_a_run_without_its_base_is_moved_and_finds_it_where_it_was(made, tmp_path):
    moved = shutil.copytree(made / "runs" / "second" / "artifact", tmp_path / "alone")
    assert torch.equal(logits(luthier.load(moved).network), logits(luthier.load(made / "runs" / "second").network))


def test_a_project_is_moved_as_a_whole_and_every_verb_goes_on(project, tmp_path):
    run = str(project / "runs" / "second")
    for words in (
        ("chat", run, "--message", "Which?", "--max-new-tokens", "2"),
        ("evaluate", run, "--examples", "2"),
        ("export", run, str(tmp_path / "plain")),
        ("evaluate", str(project / "runs" / "first")),
        (*QUICK, "adaptation=lora", "model=run", f"model.path={run}", f"hydra.run.dir={tmp_path / 'third'}"),
    ):
        carried_out(*words, cwd=tmp_path)


def test_without_its_base_it_says_what_it_needs_and_the_way_out_works(project, tmp_path):
    elsewhere = (project / "base").rename(tmp_path / "elsewhere")
    ask = ("chat", str(project / "runs" / "second"), "--message", "Which?", "--max-new-tokens", "2")
    done = command(*ask, "--json", cwd=tmp_path)
    assert done.returncode == 2
    said = json.loads(done.stderr)
    sha256 = json.loads((project / "runs" / "first" / "artifact" / "manifest.json").read_text())["model"]["sha256"]
    assert "The artifact needs base" in said["message"]
    assert sha256[:12] in said["message"]
    assert str(project / "base") in said["message"]
    *_, link = said["hint"].split()
    Path(link).symlink_to(elsewhere)
    carried_out(*ask, cwd=tmp_path)


def test_whole_weights_need_neither_base_nor_template_nor_the_place_of_their_data(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    (project / "rows.jsonl").write_text("".join(ROW.format(number, number) for number in range(12)))
    (project / "own.jinja").write_text(
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    carried_out("debug=tiny", "stages=[fit]", "adaptation=full", "hydra.run.dir=whole", cwd=project)
    carried_out("export", "whole", "base", cwd=project)
    words = ("model=folder", "model.path=base", "model.chat_template=own.jinja", "adaptation=full", "data=jsonl")
    carried_out(
        "debug=tiny", "stages=[fit]", *words, "data.file=rows.jsonl", "data.splits.test=0.4", "hydra.run.dir=run",
        cwd=project,
    )  # fmt: skip
    shutil.rmtree(project / "base")
    (project / "own.jinja").unlink()
    moved = project.rename(tmp_path / "moved")
    carried_out("evaluate", str(moved / "run"), cwd=tmp_path)
    carried_out("chat", str(moved / "run"), "--message", "Which?", "--max-new-tokens", "2", cwd=tmp_path)


@pytest.mark.exhaustive
def test_merged_adapters_and_ensembles_of_runs_move_as_runs_do(project, tmp_path):
    runs = "model.runs={one: runs/first, two: runs/first}"
    measured = ("debug=tiny", "stages=[evaluate]", "evaluation.general_examples=0", "evaluation.samples=0")
    carried_out(*measured, "model=merged_adapters", runs, "hydra.run.dir=runs/merged", cwd=project)
    moved = project.rename(tmp_path / "moved")
    carried_out("evaluate", str(moved / "runs" / "merged"), cwd=tmp_path)


NAMES = st.text("abcXYZ 0-_é'", min_size=1, max_size=8).map(str.strip).filter(lambda name: name not in ("", "-"))


@settings(deadline=None)  # it writes to the disk
@given(way=st.lists(NAMES, min_size=1, max_size=3), depth=st.integers(0, 3), together=st.booleans())
def test_a_path_is_found_again_however_deep_the_artifact_lay_and_whatever_moved(tmp_path_factory, way, depth, together):
    root = tmp_path_factory.mktemp("places")
    project = root / "project"
    artifact = project.joinpath(*("runs" for _ in range(depth)), "artifact")
    artifact.mkdir(parents=True)
    base = project.joinpath("bases", *way)
    base.mkdir(parents=True)
    recipe = OmegaConf.create({"model": {"path": str(base.relative_to(project)), "name": "bases"}})
    (artifact / "manifest.json").write_text(json.dumps({"files": {"a": str(way)}}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUTHIER_CACHE", str(root / "cache"))
        known = {setting: dict(place) for setting, place in _seen_from(project, recipe, artifact).items()}
        assert set(known) == {"model.path"}
        assert not Path(known["model.path"]["relative"]).is_absolute()
        _found_again(root, project, artifact, base, recipe, known, together=together)


def _found_again(root, project, artifact, base, recipe, known, *, together):
    if together:
        moved = project.rename(root / "elsewhere")
        artifact, base = moved / artifact.relative_to(project), moved / base.relative_to(project)
    else:
        artifact = artifact.rename(root / "alone")
    found = with_places(recipe, known, artifact)
    assert Path(found.model.path) == base
    assert found.model.name == "bases"


def _seen_from(folder: Path, recipe, artifact: Path):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        remember_places(recipe, artifact)
        return places(recipe, artifact)


def test_a_model_of_a_hub_is_taken_at_the_commit_that_the_run_found():
    node = {"_target_": "luthier.models.hub.Hub", "id": "some/model", "revision": None}
    lineage = {"kind": "hub, pruned", "parent": {"kind": "hub", "name": "some/model", "revision": "f" * 40}}
    recipe = OmegaConf.create({"model": {"base": node, "other": {**node, "id": "an/other"}}})
    found = with_revisions(recipe, lineage).model
    assert (found.base.revision, found.other.revision) == ("f" * 40, None)
