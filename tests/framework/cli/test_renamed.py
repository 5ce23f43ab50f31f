"""Names of version 0.1 go on working, with a warning that says the new one."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest

from luthier.api import homes
from luthier.config.signatures import signature
from luthier.plugins.renamed import table

OLD = sorted(table()["targets"])
IMPORTS = Path(__file__).with_name("imports_of_0_1.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("old", OLD)
def test_each_old_target_is_read_as_the_one_of_now(old):
    assert signature(old) == signature(table()["targets"][old])
    module, _, name = table()["targets"][old].rpartition(".")
    assert hasattr(import_module(module), name)


def test_each_old_name_of_a_module_is_in_the_api_or_says_where_it_is():
    assert {new for new in table()["names"].values() if "." not in new} <= set(homes())


@pytest.mark.parametrize("line", IMPORTS)
def test_what_plugins_imported_of_version_0_1_is_there_or_says_what_to_use(line):
    module, name = line.split()
    new = table()["names"].get(f"{module}.{name}", "")
    if reason := table()["gone"].get(f"{module}.{name}"):
        with pytest.raises(ImportError, match=re.escape(reason)):
            exec(f"from {module} import {name}", {})
        return
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        exec(f"from {module} import {name}", found := {})
    place, _, called = (new if "." in new else f"luthier.api.{new}").rpartition(".")
    if new:
        assert f"write `from {place} import {called}`" in str(said[0].message)
        assert found[name] is getattr(import_module(place), called)


def test_a_name_that_never_was_is_answered_by_a_sentence_or_by_python():
    with pytest.raises(ImportError, match=r"luthier\.api, which has its names, has no 'Nothing'"):
        exec("from luthier.parts import Nothing", {})
    with pytest.raises(ImportError, match=r"cannot import name .Nothing. from .luthier\.data\.splits."):
        exec("from luthier.data.splits import Nothing", {})


def test_a_module_that_answers_for_old_names_keeps_its_source_and_its_files():
    from importlib.resources import files

    assert "class HashSplits" in inspect.getsource(import_module("luthier.data.splits"))
    assert files("luthier.data.formats").joinpath("format.py").is_file()


def test_a_model_with_the_old_name_of_its_meta_network_is_refused():
    from luthier.errors import PluginError
    from luthier.models.meta_networks import meta_network
    from luthier.models.random import Random

    class Merged(Random):
        def outline(self):
            raise AssertionError

    with pytest.raises(PluginError, match=r"Merged has `outline`.*Name it `meta_network`"):
        meta_network(Merged(vocabulary=300))


def test_a_recipe_with_an_old_target_runs_with_a_note(luthier, write):
    write("recipes/prompt/mine.yaml", "# As it is.\n_target_: luthier.prompt.Chat\n")
    ended = luthier("plan", "debug=tiny", "prompt=mine")
    assert ended.code == 0
    assert "luthier.prompt.Chat is called luthier.data.prompts.ChatPrompt now" in ended.out


def test_a_run_that_was_kept_with_old_targets_loads(run, luthier, here):
    import shutil

    from luthier.workflows import artifact_manifest

    place = here / "old"
    shutil.copytree(run / "artifact", place)
    recipe = place / "resolved.yaml"
    text = recipe.read_text().replace("luthier.models.adaptation.FullFineTuning", "luthier.adaptation.Full")
    text = text.replace("luthier.data.prompts.ChatPrompt", "luthier.prompt.Chat")
    assert "luthier.adaptation.Full" in text
    recipe.write_text(text)
    artifact_manifest.write(place, json.loads((place / "manifest.json").read_text()))
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
