"""The page of each kind of part: written by its script, and its example composes, runs and passes its suite."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

from luthier import api
from luthier.testing.kinds import KINDS, Kind
from luthier.testing.part import PartContract
from tests.command import luthier
from tests.docs.doc_pages import DOCS
from tests.scripts import script

kinds = script("kinds")
DUTIES = ("Given", "Returns", "Called", "Ranks", "Raises", "Resume", "Nested")
NO_CONTRACT_OF_ITS_OWN = {"hook"}
"""Each hook has its own, on the page of hooks."""
sys.path.insert(0, str(kinds.EXAMPLES))


def suites(kind: Kind) -> dict[str, type]:
    """The classes of the test file that the page shows."""
    module = import_module(f"test_{kind.name}")
    return {name: one for name, one in vars(module).items() if name.startswith("Test")}


IN_EVERY_RUN = {"format", "reader", "metric", "schedule", "report_section", "selection"}
"""Kinds whose suite is run by `make test` on the example; `make test-all` runs all."""
for each in KINDS:
    for name, suite in suites(each).items():
        marks = [] if each.name in IN_EVERY_RUN else [pytest.mark.exhaustive]
        globals()[name] = type(name, (suite,), {"pytestmark": marks, "__module__": __name__})


def test_the_pages_are_what_the_script_writes():
    for name, text in kinds.pages().items():
        written = (kinds.FOLDER / name).read_text(encoding="utf-8")
        assert written == text, f"{name} is out of date: python docs/generate/kinds.py"


def test_no_page_is_left_over_and_each_stands_in_the_index_of_the_site():
    listed = (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {file.name for file in kinds.FOLDER.glob("*.md")}
    assert pages == {"index.md", *(f"{kind.name}.md" for kind in KINDS)}
    assert {name for name in pages if f"reference/kinds/{name}" not in listed} == set()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name not in NO_CONTRACT_OF_ITS_OWN], ids=str)
def test_each_contract_says_its_duties_in_one_order(kind: Kind):
    for name in kind.contracts:
        contract = getattr(api, name)
        told = contract.fit if name == "Trainer" else contract  # `explain trainer=cpu` shows what the class says
        said = re.findall(r"^\s*- \*(\w+)\*: .", told.__doc__, re.MULTILINE)
        assert tuple(said) == DUTIES, name


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_suite_is_where_the_list_of_kinds_says(kind: Kind):
    suite = getattr(import_module(f"luthier.testing.{kind.module}"), kind.suite_class)
    assert [one for one in suites(kind).values() if issubclass(one, suite)]
    assert not kind.question or issubclass(suite, PartContract)


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=[] if kind.name in {"metric", "verb"} else [pytest.mark.exhaustive]) for kind in KINDS],
    ids=lambda kind: kind.name,
)
def test_the_example_runs_on_the_command_line(kind: Kind, tmp_path: Path):
    (suite,) = suites(kind).values()
    plugin = kinds.PACKAGE if kind.question else suite.plugin
    words = suite.recipe() if kind.question else ()
    if kind.name in {"reader", "format"}:
        content = suite.content if kind.name == "reader" else b'{"riddle": "Who?", "solution": "A cello."}\n' * 9
        (tmp_path / "rows").write_bytes(content)
        words = (*words, f"data.file={tmp_path / 'rows'}", "data.splits.validation=0", "data.splits.test=0")
    if kind.name == "reader":
        words = (*words, "data/format=auto")
    words = (*words, "stages=[fit]") if kind.name not in {"metric", "task"} else (*words, "stages=[baseline]")
    done = luthier("-p", plugin, "debug=tiny", "name=run", *words, cwd=tmp_path, PYTHONPATH=str(kinds.EXAMPLES))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "run" / "record.json").is_file()
