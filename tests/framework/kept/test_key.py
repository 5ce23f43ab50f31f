"""What a run depends on: equal things give equal keys, and whatever would change the run changes the key."""

from __future__ import annotations

import json

import pytest

from luthier.cli.session import catalog
from luthier.config.compose import Composer
from luthier.plugins.registry import Plugins
from luthier.workflows.cached_runs.cached_run import CachedRun
from tests.framework.cli.conftest import here, session_cache, write  # noqa: F401

MINE = ("data=jsonl", "data.file=mine.jsonl", "data.quarantine=bad")


@pytest.fixture
def composer(write):  # noqa: F811
    write("mine.jsonl", '{"prompt": "a", "completion": "b"}\n')
    plugins = Plugins()
    return Composer(plugins, catalog(plugins))


def key(composer, *words):
    return CachedRun.compose(composer, words).key


def test_the_same_words_have_the_same_key_in_any_order(composer):
    assert key(composer, *MINE, "seed=1") == key(composer, "seed=1", *MINE)


@pytest.mark.parametrize("word", ["seed=1", "optimizer.lr=1e-3", "adaptation=lora", "stages=[fit]"])
def test_a_changed_setting_is_another_run(composer, word):
    assert key(composer, *MINE, word) != key(composer, *MINE)


def test_a_changed_row_of_the_data_is_another_run(composer, here):  # noqa: F811
    before = key(composer, *MINE)
    (here / "mine.jsonl").touch()
    assert key(composer, *MINE) == before
    (here / "mine.jsonl").write_text('{"prompt": "a", "completion": "c"}\n')
    assert key(composer, *MINE) != before


def test_a_folder_of_data_counts_by_its_files_and_where_a_run_writes_does_not_count(composer, write):  # noqa: F811
    words = ("data=folder", "data.file=all", "data.quarantine=bad")
    write("all/a.jsonl", '{"prompt": "a", "completion": "b"}\n')
    before = key(composer, *words)
    write("bad/quarantine.jsonl", "{}")
    assert key(composer, *words) == before
    write("all/b.jsonl", '{"prompt": "a", "completion": "b"}\n')
    assert key(composer, *words) != before


def test_an_artifact_counts_by_what_it_holds(composer, write):  # noqa: F811
    words = ("model=run", "model.path=runs/earlier")
    write("runs/earlier/artifact/manifest.json", json.dumps({"files": {"a": "1"}, "run": "earlier"}))
    before = key(composer, *words)
    write("runs/earlier/artifact/manifest.json", json.dumps({"files": {"a": "1"}, "run": "again"}))
    assert key(composer, *words) == before
    write("runs/earlier/artifact/manifest.json", json.dumps({"files": {"a": "2"}, "run": "again"}))
    assert key(composer, *words) != before


def test_another_version_of_luthier_makes_another_run(composer, monkeypatch, write):  # noqa: F811
    before = key(composer, *MINE)
    monkeypatch.setattr("luthier.plugins.source_code.__version__", "0.0.0")
    assert key(composer, *MINE) != before


def test_a_run_is_named_by_its_recipe_and_its_key(composer):
    run = CachedRun.compose(composer, ["recipe=demo"])
    assert str(run.folder.path) == f"runs/demo-{run.key[:12]}"
    assert not run.is_finished
    assert not run.is_resumable
