"""A stranger's class has the settings that Python says, however it is written; nothing is imported to know them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from luthier.config.importing import named
from luthier.config.instantiate import instantiate
from luthier.config.signatures import signature
from luthier.errors import RecipeError
from tests.architecture.sources import ROOT
from tests.command import luthier as command

SOURCE = ROOT / "tests" / "third_party" / "carpentry" / "src"
WAYS = {file.stem: file for file in sorted((SOURCE / "carpentry" / "recipes" / "tracking").glob("*.yaml"))}
BENCH = {"rank": "a whole number", "mode": "one of plain, fancy"}
PLANE = {"rank": "a whole number", "sharp": "true or false"}
GRAIN = "one of FINE, COARSE (by name) or fine grain, coarse grain (by value)"


@dataclass
class Way:
    """A way of writing a class: what `explain` shows, what is said to it and what is kept, and what is refused.

    `dynamic`: only Python knows, so that the same is refused when the part is built.
    """

    shows: dict[str, str]
    said: dict[str, Any] = field(default_factory=lambda: {"rank": 5})
    typo: tuple[str, str] = ("rnak", "rank")
    wrong: tuple[str, Any, str] = ("rank", "high", "a whole number")
    dynamic: bool = False
    kept: dict[str, Any] = field(default_factory=dict)


DEEP = {**PLANE, "depth": "a number"}
INHERITED = {
    "absolute": Way(BENCH), "star": Way(BENCH), "byattribute": Way(BENCH), "bymodulename": Way(BENCH),
    "handson": Way(DEEP, {"rank": 5, "depth": 0.5, "sharp": False}, ("dept", "depth")),
    "handsontwice": Way({**DEEP, "width": "a number"}, {"rank": 5, "width": 1.5}, ("widht", "width")),
    "byname": Way(DEEP, {"rank": 5, "depth": 0.5}, ("dept", "depth")),
    "fixed": Way({"rank": "a whole number", "depth": "a number"}, {"rank": 5}, ("sharp", "rank")),
    "pops": Way({**PLANE, "depth": "anything"}, {"rank": 5, "depth": 2.0}, ("dept", "depth")),
    "guards": Way({"rank": "anything"}, {"rank": 5}, wrong=("", None, "")),
    "typed": Way(BENCH), "oftyped": Way(BENCH), "mixed": Way(DEEP, {"rank": 5, "depth": 2.0}),
    "everything": Way(DEEP, {"rank": 5, "depth": 2.0}),
    "sets": Way({}, {"rank": 5, "anything": "x"}, ("", ""), ("", None, "")),
}  # fmt: skip
RANK = {"rank": "a whole number"}
FORMS = {
    "conditional": Way(RANK), "tried": Way(RANK), "renamed": Way(BENCH), "twice": Way(BENCH),
    "outer_inner": Way(PLANE), "outer_alias": Way(BENCH), "innerofbase_inner": Way(PLANE), "function": Way(RANK),
    "plainly": Way(PLANE), "quick": Way(BENCH),
    "data": Way({"rank": "a whole number", "words": "a list of texts"}, {"rank": 5, "words": ["a"]}),
    "keyworddata": Way(
        {"rank": "a whole number", "words": "a list of texts", "sharp": "true or false", "grain": GRAIN},
        {"rank": 5, "sharp": False, "grain": "COARSE"},
        wrong=("grain", "rough", "FINE, COARSE"),
    ),
    "marked": Way({**PLANE, "seed": "a whole number"}, {"rank": 5, "seed": 3}, ("sed", "seed"), kept={"seeded": 3}),
    "noinit": Way(PLANE, {"rank": 5}, ("shown", "sharp")), "triple": Way(PLANE), "unpacked": Way(PLANE),
    "made": Way(RANK), "built_of": Way(RANK), "positional": Way({"rank": "a whole number", "sharp": "anything"}),
    "registered": Way(PLANE), "registeredas": Way(PLANE), "withmeta": Way(PLANE),
}  # fmt: skip
AT_RUN_TIME = {
    "dynamic_decorated": Way({"rank": "a whole number", "grain": GRAIN}, {"rank": 5, "grain": "COARSE"}, dynamic=True),
    "dynamic_replaced": Way({"old": "a whole number"}, {"rank": 5, "old": 2}, dynamic=True),
    "dynamic_generated": Way({}, {"rank": 5, "grain": "coarse grain"}, dynamic=True),
    "dynamic_patched": Way({"old": "a whole number"}, dynamic=True),
    "dynamic_lazy": Way({}, dynamic=True), "hidden_hidden": Way({}, dynamic=True),
    "dynamic_factory": Way({}, typo=("rnak", ""), dynamic=True, wrong=("", None, "")),
    "libraries_attrs": Way({"rank": "a whole number", "grain": GRAIN}, {"rank": 5, "grain": "COARSE"}, dynamic=True),
    "libraries_oldattrs": Way(RANK, dynamic=True),
    "libraries_model": Way(
        {"rank": "a whole number", "grain": GRAIN}, {"rank": 5}, ("", ""), ("rank", 0, "greater than"), dynamic=True
    ),
    "libraries_derivedmodel": Way({**RANK, "grain": GRAIN, "sharp": "true or false"}, {"rank": 5, "sharp": False},
                                  ("", ""), ("rank", "high", "valid integer"), dynamic=True),
    "libraries_modeldata": Way(RANK, {"rank": 5}, ("", ""), ("rank", "high", "valid integer"), dynamic=True),
}  # fmt: skip
CASES = {
    **{f"inherited_{name}": way for name, way in INHERITED.items()},
    **{f"forms_{name}": way for name, way in FORMS.items()},
    "dynamic_meta": Way({**RANK, "depth": "a number"}, {"rank": 5, "depth": 2.0}),
    "joints_dovetail": Way(PLANE), "joints_mortise": Way(BENCH), **AT_RUN_TIME,
}  # fmt: skip


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    monkeypatch.syspath_prepend(str(SOURCE))


@pytest.fixture
def carpentry(luthier):
    """The command line where the stranger is installed."""

    def call(*words: str):
        return luthier(*words, "-p", "carpentry", "--json")

    return call


@pytest.fixture
def composed():
    """The part of a way with what is said to it, checked as the composer checks it."""

    def compose(name: str, said: dict[str, Any]):
        target = yaml.safe_load(WAYS[name].read_text())["_target_"]
        for error in signature(target).check(said, at="tracking"):
            raise error
        return OmegaConf.create({"tracking": {"_target_": target, **said}}).tracking

    return compose


@pytest.fixture
def built(composed):
    return lambda name, said: instantiate(composed(name, said))


def test_every_way_has_its_case():
    assert set(CASES) | {"typed_told"} == set(WAYS)
    assert len(CASES) >= 37


@pytest.mark.parametrize("name", CASES)
def test_explain_shows_its_settings(name, carpentry):
    end = carpentry("explain", f"tracking={name}")
    assert end.code == 0, end.err
    shown = {one["path"].removeprefix("tracking."): one["type"] for one in end.record["settings"]}
    assert shown == CASES[name].shows
    assert end.record["open"] is (CASES[name].dynamic or name == "inherited_sets")


@pytest.mark.parametrize("name", CASES)
def test_a_right_value_reaches_the_object(name, built):
    made, way = built(name, CASES[name].said), CASES[name]
    if isinstance(made, list):
        assert made[0] == way.said["rank"]
        return
    for key, value in (way.kept or way.said).items():
        kept = getattr(made, key)
        assert value in (kept, getattr(kept, "name", None), getattr(kept, "value", None))
        if key == "grain":
            assert kept is named("timber.Grain").COARSE


def refused(name: str, said: dict[str, Any], composed) -> RecipeError:
    """The error before anything is imported; when the part is built, where only Python knows."""
    if CASES[name].dynamic:
        node = composed(name, said)
        with pytest.raises(RecipeError) as error:
            instantiate(node)
    else:
        with pytest.raises(RecipeError) as error:
            composed(name, said)
    return error.value


@pytest.mark.parametrize("name", [name for name, way in CASES.items() if way.typo[0]])
def test_a_wrong_name_is_refused_with_the_nearest(name, composed):
    wrong, meant = CASES[name].typo
    error = refused(name, {wrong: 1}, composed)
    assert error.message == f"There is no setting 'tracking.{wrong}'."
    assert error.code == 2
    assert not meant or f"tracking.{meant}" in error.hint


@pytest.mark.parametrize("name", [name for name, way in CASES.items() if way.wrong[0]])
def test_a_wrong_value_is_refused(name, composed):
    key, value, words = CASES[name].wrong
    error = refused(name, {key: value}, composed)
    assert words in error.message
    assert f"tracking.{key}" in str(error)


@pytest.mark.parametrize("name", WAYS)
def test_the_example_of_explain_is_accepted(name, carpentry, composed):
    words = carpentry("explain", f"tracking={name}").record["example"].split()[1:]
    assert words[0] == f"tracking={name}"
    said = dict(word.removeprefix("tracking.").split("=") for word in words[1:])
    instantiate(composed(name, {key: yaml.safe_load(value) for key, value in said.items()}))


TYPES = {
    "rank": ([5], "x", "a whole number"), "mode": (["fancy"], "x", "plain, fancy"),
    "other": (["fancy"], "x", "plain, fancy"), "local": (["b", None], "c", "a, b"),
    "nested": (["b", "c"], "d", "a, b, c"),
    "renamed": (["y"], "z", "x, y"), "count": ([4], "x", "a whole number"), "ratio": ([0.25, 1], "x", "a number"),
    "size": ([3, "auto"], "big", "a whole number or auto"), "named": (["x", None], 3, "text or null"),
    "number": ([2], "x", "a whole number"), "grain": (["COARSE", "coarse grain"], "rough", GRAIN),
    "wood": (["PINE", "pine"], "ash", "OAK, PINE (by name) or oak, pine (by value)"),
    "grade": (["HIGH", 2], 3, "LOW, HIGH (by name) or 1, 2 (by value)"), "finish": (["WAX", 2], "TAR", "OIL, WAX"),
    "only": (["COARSE", "coarse grain", None], "FINE", "COARSE"),
    "several": ([["FINE", "coarse grain"]], ["x"], "FINE"),
    "by_name": ([{"a": "FINE", "b": None}], {"a": "x"}, "FINE"), "final": ([3], "x", "a whole number"),
    "annotated": ([3, None], "x", "a whole number or null"), "attribute": ([0.1], "x", "a number"),
    "module": ([3, "x", None], 1.5, "a whole number or text or null"),
    "quoted": (["plain", None], "x", "plain, fancy"),
    "pair": ([[2, "b"]], "x", "a list"), "checked": (["fancy", None], "x", "plain, fancy"),
    "measures": ([{"length": 1.0}], 3, "a mapping"), "folder": (["here"], 3, "text"), "part": ([None], 3, "a part"),
    "same": ([None], 3, "a part"), "tree": ([{"a": [1, "b"]}, 3], 1.5, "a mapping of names to anything"),
}  # fmt: skip


@pytest.mark.parametrize("name", TYPES)
def test_a_type_is_what_its_names_stand_for(name, composed, built):
    good, bad, words = TYPES[name]
    for value in good:
        made = getattr(built("typed_told", {name: value}), name)
        assert _as_said(made, value), (made, value)
    with pytest.raises(RecipeError, match=re.escape(words)):
        composed("typed_told", {name: bad})


def _as_said(made: Any, value: Any) -> bool:
    """Whether a value, or each value in it, is what was said, or the member of that name or value."""
    import enum

    if isinstance(value, list):
        return len(made) == len(value) and all(map(_as_said, made, value))
    if isinstance(value, dict):
        return made.keys() == value.keys() and all(_as_said(made[key], value[key]) for key in value)
    return value in (made.name, made.value) if isinstance(made, enum.Enum) else made == value


def test_what_an_enum_of_its_own_ways_takes_is_settled_when_it_is_built(composed, built):
    tolerant = named("timber.vocabulary.Tolerant")
    assert built("typed_told", {"tolerant": "BLUNT"}).tolerant is tolerant.BLUNT
    assert built("typed_told", {"tolerant": 2}).tolerant is tolerant.BLUNT
    node = composed("typed_told", {"tolerant": "dull"})
    with pytest.raises(RecipeError, match=r"tracking\.tolerant is 'dull', but must be one of SHARP, BLUNT"):
        instantiate(node)


def test_the_command_line_sets_what_no_file_says_and_names_what_is_nearest(carpentry):
    end = carpentry("tracking=inherited_absolute", "tracking.rank=5", "--cfg", "job")
    assert end.code == 0, end.err
    assert end.record["tracking"]["rank"] == 5
    wrong = carpentry("tracking=inherited_absolute", "tracking.rnak=5", "--cfg", "job")
    assert (wrong.code, wrong.error["hint"]) == (2, "Did you mean tracking.rank?")
    value = carpentry("tracking=inherited_absolute", "tracking.rank=high", "--cfg", "job")
    assert (value.code, value.error["where"]) == (2, "command line: tracking.rank=high")


def test_defaults_are_shown_as_a_recipe_would_write_them(carpentry):
    record = carpentry("explain", "tracking=typed_told").record
    shown = {one["path"].removeprefix("tracking."): one["default"] for one in record["settings"]}
    assert shown["rank"] == 8
    assert (shown["grain"], shown["wood"], shown["grade"], shown["finish"]) == ("FINE", "OAK", "LOW", "OIL")


def test_the_schema_takes_what_the_run_takes(carpentry):
    from jsonschema import Draft7Validator

    schema = carpentry("schema").record
    said = {"defaults": [{"override /tracking": "typed_told"}], "tracking": {"grain": "COARSE", "grade": 2}}
    validator = Draft7Validator(schema)
    assert validator.is_valid(said)
    assert validator.is_valid({**said, "tracking": {"grain": "coarse grain"}})
    assert not validator.is_valid({**said, "tracking": {"grain": "rough"}})
    assert not validator.is_valid({**said, "tracking": {"graim": "FINE"}})
    open_ended = {"defaults": [{"override /tracking": "dynamic_lazy"}], "tracking": {"rank": 3}}
    assert validator.is_valid(open_ended)


def test_nothing_of_the_stranger_is_imported_to_know_its_settings():
    targets = [yaml.safe_load(file.read_text())["_target_"] for file in WAYS.values()]
    program = (
        "import sys; from luthier.config.signatures import signature\n"
        f"for target in {targets!r}: signature(target).check({{'rank': 3}}, at='it')\n"
        "assert not {'carpentry', 'timber', 'attrs', 'pydantic', 'torch'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=SOURCE, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_module_with_a_mistake_in_it_is_named_with_its_line(carpentry, tmp_path, monkeypatch, write):
    (tmp_path / "sawdust.py").write_text("x = 1\ndef broken(:\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    write("recipes/tracking/broken.yaml", "# Broken.\n_target_: sawdust.Thing\n")
    end = carpentry("explain", "tracking=broken")
    assert end.code == 7
    assert end.error["where"].endswith("sawdust.py:2")


def test_a_run_refuses_before_it_reads_data_what_only_python_knows(tmp_path):
    site = tmp_path / "site"
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", str(site)]
    source = Path(SOURCE).parent
    pip = [sys.executable, "-m", "pip", "install", *options, str(source)]
    subprocess.run(pip, check=True, capture_output=True, timeout=300)
    environment = {
        "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]),
        "LUTHIER_CACHE": str(tmp_path / "cache"),
    }
    words = ["recipe=demo", "debug=tiny", "tracking=dynamic_generated", "--json"]
    end = command(*words, "++tracking.rnak=4", cwd=tmp_path, **environment)
    assert end.returncode == 2, end.stderr
    error = json.loads(end.stderr.strip().splitlines()[-1])
    assert error["message"] == "There is no setting 'tracking.rnak'."
    assert error["hint"] == "Did you mean tracking.rank?"
    wrong = command(*words, "++tracking.grain=rough", cwd=tmp_path, **environment)
    assert wrong.returncode == 2
    assert "FINE, COARSE" in wrong.stderr
    done = command(*words, "++tracking.grain=COARSE", cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
