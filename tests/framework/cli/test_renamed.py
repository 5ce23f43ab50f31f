"""Names of version 0.1 go on working, with a warning that says the new one."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module

import pytest

from luthier import api
from luthier.api import homes
from luthier.config.signatures import signature
from luthier.plugins.renamed import table

OLD = sorted(table()["targets"])


@pytest.mark.parametrize("old", OLD)
def test_each_old_target_is_read_as_the_one_of_now(old):
    assert signature(old) == signature(table()["targets"][old])
    module, _, name = table()["targets"][old].rpartition(".")
    assert hasattr(import_module(module), name)


def test_each_old_name_of_a_module_is_in_the_api():
    assert set(table()["names"].values()) <= set(homes())
    assert {old.rpartition(".")[0] for old in table()["names"]} <= set(table()["modules"])


@pytest.mark.parametrize("old", sorted(table()["names"]))
def test_each_old_name_is_imported_from_its_old_module_with_a_warning(old):
    module, _, name = old.rpartition(".")
    with pytest.warns(FutureWarning, match=f"write `from luthier.api import {table()['names'][old]}`"):
        found = getattr(import_module(module), name)
    assert found is getattr(api, table()["names"][old])


def test_a_recipe_with_an_old_target_runs_with_a_note(luthier, write):
    write("recipes/prompt/mine.yaml", "# As it is.\n_target_: luthier.prompt.Chat\n")
    ended = luthier("plan", "debug=tiny", "prompt=mine")
    assert ended.code == 0
    assert "luthier.prompt.Chat is called luthier.data.prompts.ChatPrompt now" in ended.out


def test_a_run_that_was_kept_with_old_targets_loads(run, luthier, here):
    import shutil

    from luthier.training.checkpoint_files import sha256_of_file

    place = here / "old"
    shutil.copytree(run / "artifact", place)
    recipe = place / "resolved.yaml"
    text = recipe.read_text().replace("luthier.models.adaptation.FullFineTuning", "luthier.adaptation.Full")
    text = text.replace("luthier.data.prompts.ChatPrompt", "luthier.prompt.Chat")
    assert "luthier.adaptation.Full" in text
    recipe.write_text(text)
    manifest = json.loads((place / "manifest.json").read_text())
    manifest["files"]["resolved.yaml"] = sha256_of_file(recipe)
    (place / "manifest.json").write_text(json.dumps(manifest))
    assert luthier("chat", str(place), "--message", "Hello.").code == 0


@pytest.mark.parametrize(
    ("line", "new"),
    [
        ("from luthier.parts import Batch, Sequence", "TokenSequence"),
        ("from luthier.data import encode; encode.conversation", "encode_conversation"),
        ("from luthier.language_model import LanguageModelMethod", "LanguageModelMethod"),
        ("from luthier.verbs import Call, Verb", "Verb"),
    ],
)
def test_an_import_of_version_0_1_works_and_says_the_new_line(line, new):
    ended = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert f"write `from luthier.api import {new}`" in ended.stderr


def test_a_module_that_never_was_is_still_not_found():
    with pytest.raises(ModuleNotFoundError):
        import_module("luthier.nothing_of_the_kind")
