"""Option files and signatures say the same, and no setting is there that nothing reads."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from luthier.config.catalog import Catalog, CatalogAnswer
from luthier.config.option_file import Option
from luthier.config.settings import REQUIRED, Signature
from luthier.config.signatures import signature
from luthier.plugins.registry import Plugins
from tests.architecture import setting_uses
from tests.architecture.setting_uses import Place, acts, acts_in, read_from_a_recipe
from tests.architecture.sources import ROOT, Module

CATALOG = Catalog.of(Plugins(only=None))
OPTIONS = [Option.read(answer, CATALOG) for answer in CATALOG if answer.is_part]
OPTIONS += [Option.inside(CATALOG.answers[".", "config"], "batch")]
BY_TARGET = defaultdict(list)
for option in OPTIONS:
    BY_TARGET[option.target].append(option)
TARGETS = sorted(BY_TARGET)


def asked(option: Option) -> set[str]:
    return {key.partition(".")[0] for key in option.nested}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: f"{option.answer}:{option.target}")
def test_an_option_file_says_every_setting_and_no_other(option):
    known = signature(option.target)
    said = set(option.written) | asked(option)
    assert set(known.settings) - said == set(), "missing in the file"
    assert said - set(known.settings) - set(known.parts) == set(), "unknown to the class"


@pytest.mark.parametrize("target", TARGETS)
def test_the_plainest_option_file_has_the_signatures_defaults(target):
    """Of several files for one class, one says the defaults; the others are that one with something changed."""
    known = signature(target)
    differ = [_different(option, known) for option in BY_TARGET[target]]
    assert [] in differ, differ


def _different(option: Option, known: Signature) -> list[str]:
    return [
        f"{option.answer}: {name} is {said.value!r}, not {known.settings[name].default!r}"
        for name, said in option.written.items()
        if name in known.settings and name not in asked(option)
        if known.settings[name].default != REQUIRED and not _same(said.value, known.settings[name].default)
    ]


def _same(said: object, default: object) -> bool:
    """Equal, where YAML reads 1e-8 as text and null stands for an empty collection."""
    if isinstance(default, float) and isinstance(said, str):
        return float(said) == default
    return (said == default and type(said) is type(default)) or (said in ({}, []) and default is None)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: f"{option.answer}:{option.target}")
def test_what_an_option_file_says_is_of_the_settings_type(option):
    given = {name: _read(said.value) for name, said in option.written.items() if name not in asked(option)}
    assert [
        str(error) for error in signature(option.target).check(given, at="it") if "must be given" not in str(error)
    ] == []


def _read(value: object) -> object:
    """As OmegaConf reads it, which takes 1e-8 for a number."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


@pytest.mark.parametrize("answer", list(CATALOG), ids=str)
def test_an_option_file_begins_with_what_it_is(answer: CatalogAnswer):
    assert answer.headline.endswith((".", "…")), answer.file
    assert yaml.safe_load(answer.text) is None or isinstance(yaml.safe_load(answer.text), dict)
    if answer.question in {"recipe", "debug"}:
        assert answer.text.startswith("# @package _global_\n")
    if answer.question in {"recipe", "pipeline"}:
        assert answer.how_to_run.startswith("luthier ")


# No inert setting: what a class is told reaches something that acts.


@pytest.mark.parametrize(
    ("target", "setting"), [(target, name) for target in TARGETS for name in signature(target).settings]
)
def test_no_setting_is_inert(target, setting):
    assert acts(target, setting), f"the value of {setting} reaches nothing in {target} that acts"


ROOT_SETTINGS = [
    key
    for key in yaml.safe_load((ROOT / "recipes/luthier_recipes/config.yaml").read_text())
    if key not in {"defaults", "hydra", "batch"}
]


@pytest.mark.parametrize("setting", ROOT_SETTINGS)
def test_no_setting_at_the_top_of_a_recipe_is_inert(setting):
    assert setting in read_from_a_recipe(), f"nothing reads {setting} from a recipe"


def test_a_setting_that_nothing_reads_is_found(monkeypatch):
    """The test above finds what it looks for: of these settings, the source of each says whether it acts."""
    module = Module("told", Path(__file__).with_name("settings_to_tell_apart.py"))
    monkeypatch.setattr(setting_uses, "modules", lambda: {"told": module})
    setting_uses.forget()
    found = {one.name: acts_in(Place(module, one), "setting") for one in module.tree.body if is_told(one)}
    setting_uses.forget()
    assert found == {name: name.startswith("Used") for name in found}
    assert len(found) > 8


def is_told(node: ast.stmt) -> bool:
    return isinstance(node, ast.ClassDef) and node.name.startswith(("Used", "Inert"))
