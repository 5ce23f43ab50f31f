"""What a part can be told is read from its source; nothing is imported for it, packages around it neither."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from luthier.config.settings import REQUIRED
from luthier.config.signatures import signature
from luthier.config.type_hints import Part, fits, misfit
from luthier.config.type_words import choices, readable
from luthier.errors import PluginError

SOURCE = '''
from __future__ import annotations
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Optional
Mode = Literal["a", "b"]
LENGTH = 512

class Parent:
    """The parent."""
    def __init__(self, network, *, rank: int = 8, mode: Mode = "a", length: int = LENGTH, near: float | None = None,
                 names: list[str] | None = None, by: dict[str, float] = {}, path: str, of: "Thing",
                 old: Optional[int] = 3):
        pass

class Child(Parent):
    pass

@dataclass(kw_only=True)
class Told:
    kind: ClassVar[str] = "told"
    size: int = 3
    words: list[str] = field(default_factory=list)
    made: int = field(init=False, default=0)

@dataclass(kw_only=True)
class More(Told):
    extra: bool = False

def make(part, *, seed: int = 0):
    """Make it."""
'''


@pytest.fixture
def module(tmp_path, monkeypatch) -> str:
    """A package that ends the process when it is imported, with a module of parts in it."""
    name = f"parts_{tmp_path.name.replace('-', '_')}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("raise SystemExit('imported')")
    (folder / "things.py").write_text(SOURCE + "\nraise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    return f"{name}.things"


def test_parts_and_settings_are_told_apart(module):
    found = signature(f"{module}.Parent")
    assert found.parts == ("network",)
    assert {name: setting.default for name, setting in found.settings.items()} == {
        "rank": 8, "mode": "a", "length": 512, "near": None, "names": None, "by": {}, "path": REQUIRED, "of": REQUIRED,
        "old": 3,
    }  # fmt: skip
    assert found.doc == "The parent."
    assert module.split(".")[0] not in sys.modules


def test_types_are_said_in_words(module):
    words = {name: setting.words for name, setting in signature(f"{module}.Parent").settings.items()}
    assert words == {
        "rank": "a whole number", "mode": "one of a, b", "length": "a whole number", "near": "a number or null",
        "names": "a list of texts or null", "by": "a mapping of names to numbers", "path": "text",
        "of": "a part (with a _target_)", "old": "a whole number or null",
    }  # fmt: skip


def test_a_class_without_a_constructor_has_its_parents(module):
    assert signature(f"{module}.Child").settings == signature(f"{module}.Parent").settings


def test_a_dataclass_has_its_fields_and_those_of_its_parents(module):
    assert {name: one.default for name, one in signature(f"{module}.Told").settings.items()} == {"size": 3, "words": []}
    assert list(signature(f"{module}.More").settings) == ["size", "words", "extra"]


def test_a_function_is_a_part_too(module):
    assert signature(f"{module}.make").parts == ("part",)


@pytest.mark.parametrize(
    "target", ["no_such_package.Thing", "luthier.no_such_module.Thing", "luthier.data.prompts.NoSuch", "Thing", ".x"]
)
def test_what_is_not_there_is_named(target):
    with pytest.raises(PluginError, match=r"cannot be found|defines no"):
        signature(target)


def test_no_package_around_a_part_is_imported():
    program = (
        "import sys; from luthier.config.signatures import signature\n"
        "signature('luthier.models.random.Random'); signature('luthier.data.sources.files.Files')\n"
        "assert not {'luthier.models', 'luthier.data', 'torch'} & set(sys.modules), sorted(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


@dataclass
class Case:
    expected: object
    good: list
    bad: list


CASES = [
    Case(int, [1, 0], [True, 1.0, "1", None]),
    Case(float, [1.5, 2], [True, "1.5", None]),
    Case(bool, [True], [1, "true", None]),
    Case(str, ["x", ""], [1, None, ["x"]]),
    Case(int | None, [1, None], ["x", 1.5]),
    Case(list[str], [[], ["a"]], ["a", [1], [None]]),
    Case(list[int | None], [[1, None]], [["a"]]),
    Case(dict[str, float], [{}, {"a": 1}], [{"a": "x"}, [], {"a": True}]),
    Case(dict[str, list[str]], [{"a": ["b"]}], [{"a": "b"}]),
    Case(Part, [{"_target_": "x"}], [{}, "x", None, {"a": 1}]),
    Case(dict[str, Part], [{}, {"a": {"_target_": "x"}}], [{"a": {"file": "x"}}, {"a": None}]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: readable(case.expected))
def test_a_value_fits_its_type_or_does_not(case):
    assert all(fits(value, case.expected) for value in case.good)
    assert not any(fits(value, case.expected) for value in case.bad)


def test_the_innermost_misfit_is_named():
    assert misfit({"a": {"b": ["x", 3]}}, dict[str, dict[str, list[str]]], "it")[0] == "it.a.b[1]"
    assert misfit({"a": 3}, dict[str, str] | None, "it")[:2] == ("it.a", 3)
    assert misfit({"a": "x"}, dict[str, str] | None, "it") is None


def test_choices_can_be_listed():
    from typing import Literal

    assert choices(Literal["a", "b"] | None) == ["a", "b", "null"]
    assert choices(bool) == ["true", "false"]
    assert choices(int) == []


GIVEN_BY_ITSELF = {
    "luthier.models.wheel.Wheel": {"trust"},
    "luthier_ensemble.adapters.MergedAdapters": {"path", "merge"},
}
"""What a class gives to, or keeps from, the constructor to which it hands its `**settings` on."""


def parameters(made: Any) -> dict[str, inspect.Parameter]:
    """As Python tells them; in place of `**settings` those of the constructor that the class inherits."""
    if not isinstance(made, type):
        return dict(inspect.signature(made).parameters)
    owner = next((one for one in made.__mro__ if "__init__" in vars(one)), object)
    made_by = owner.__init__
    if made_by is object.__init__ or made_by.__module__ == "typing":  # typing's, of a protocol, takes and does nothing
        return {}
    signed = inspect.signature(owner).parameters
    own = {name: one for name, one in signed.items() if one.kind is not one.VAR_KEYWORD}
    return {**parameters(owner.__mro__[1]), **own} if len(own) < len(signed) else own


def test_every_shipped_signature_is_that_of_the_imported_class():
    """The source says what Python itself says of the class."""
    from importlib import import_module

    from luthier.config.catalog import Catalog
    from luthier.plugins.registry import Plugins

    for target in sorted(Catalog.of(Plugins(only=None)).installed_targets()):
        module, _, name = target.rpartition(".")
        real = parameters(getattr(import_module(module), name))
        told = signature(target)
        assert {*told.parts, *told.settings} == set(real) - GIVEN_BY_ITSELF.get(target, set()), target
        for setting in told.settings.values():
            default = real[setting.name].default
            if isinstance(default, (int, float, str, bool)):
                assert setting.default == default, f"{target}: {setting.name}"


def test_the_file_and_line_are_told(module):
    found = signature(f"{module}.Child")
    assert Path(found.file).read_text().splitlines()[found.line - 1].startswith("class Child")
