"""Option files and signatures say the same, and no setting is there that nothing reads."""

from __future__ import annotations

import ast
from collections import defaultdict

import pytest
import yaml

from luthier.config.catalog import Catalog, CatalogAnswer
from luthier.config.option_file import Option
from luthier.config.signatures import REQUIRED, Signature, signature
from luthier.plugins.registry import Plugins
from tests.architecture.sources import ROOT, modules

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


# No inert setting: what a class is told, it keeps, and somebody reads what it keeps.

READS = {
    node.attr
    for module in modules().values()
    for node in ast.walk(module.tree)
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
}


@pytest.mark.parametrize(
    ("target", "setting"), [(target, name) for target in TARGETS for name in signature(target).settings]
)
def test_no_setting_is_inert(target, setting):
    kept = _kept(target, setting)
    assert kept, f"{target} takes {setting} and does nothing with it"
    assert any(name in READS or name == "" for name in kept), f"{setting} is kept as {kept}, which nothing reads"


def _kept(target: str, setting: str) -> set[str]:
    """The attributes that a parameter is kept under; "" where the constructor itself makes use of it."""
    module, _, name = target.rpartition(".")
    node = next(one for one in modules()[module].tree.body if getattr(one, "name", None) == name)
    function = _function(node)
    if function is None:  # a dataclass, or inherited: the attribute has the parameter's name
        return {setting}
    kept = set()
    for statement in ast.walk(function):
        if isinstance(statement, ast.Assign) and _uses(statement.value, setting):
            pairs = _pairs(statement)
            kept |= {one.attr for one, value in pairs if isinstance(one, ast.Attribute) and _uses(value, setting)}
            kept |= {"" for one, value in pairs if not isinstance(one, ast.Attribute) and _uses(value, setting)}
        elif isinstance(statement, ast.AnnAssign) and statement.value and _uses(statement.value, setting):
            kept.add(statement.target.attr if isinstance(statement.target, ast.Attribute) else "")
        elif isinstance(statement, (ast.Call, ast.If, ast.Return, ast.Raise)) and _uses(statement, setting):
            kept.add("")
    return kept


def _function(node: ast.stmt) -> ast.FunctionDef | None:
    if isinstance(node, ast.FunctionDef):
        return node
    assert isinstance(node, ast.ClassDef)
    return next((one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)


def _pairs(statement: ast.Assign) -> list[tuple[ast.expr, ast.expr]]:
    """(target, value), one by one where several are assigned at once."""
    (target,) = statement.targets
    if isinstance(target, ast.Tuple) and isinstance(statement.value, ast.Tuple):
        return list(zip(target.elts, statement.value.elts, strict=True))
    return [(target, statement.value)]


def _uses(node: ast.AST, name: str) -> bool:
    return any(isinstance(one, ast.Name) and one.id == name and isinstance(one.ctx, ast.Load) for one in ast.walk(node))


ROOT_SETTINGS = [
    key
    for key in yaml.safe_load((ROOT / "recipes/luthier_recipes/config.yaml").read_text())
    if key not in {"defaults", "hydra", "batch"}
]


@pytest.mark.parametrize("setting", ROOT_SETTINGS)
def test_no_setting_at_the_top_of_a_recipe_is_inert(setting):
    asked = {node.attr for module in modules().values() for node in ast.walk(module.tree)
             if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("config")}  # fmt: skip
    texts = {node.value for module in modules().values() for node in ast.walk(module.tree)
             if isinstance(node, ast.Constant) and isinstance(node.value, str)}  # fmt: skip
    assert setting in asked | texts
