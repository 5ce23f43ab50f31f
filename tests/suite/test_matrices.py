"""What `make test` leaves to `make test-all` has been done once of each kind."""

from __future__ import annotations

import re

import pytest

from luthier.testing.adaptation import AdaptationContract
from luthier.testing.method import MethodContract
from luthier.testing.part import PartContract
from tests.docs.doc_kinds import kind, repeated
from tests.docs.doc_pages import ROOT, Command, fences, pages
from tests.matrices import CUT_IN_EVERY_WAY, FURTHER_CUTS, FURTHER_TRAININGS, OF_ANY_PART, WHOLE
from tests.plugins import test_how_a_batch_is_cut


def test_what_is_left_out_are_tests_of_the_contract():
    assert all(hasattr(AdaptationContract, name) for name in FURTHER_TRAININGS)
    assert all(hasattr(MethodContract, name) for name in FURTHER_CUTS)
    assert {*OF_ANY_PART} == {name for name in vars(PartContract) if name.startswith("test_")}
    assert CUT_IN_EVERY_WAY.keys() <= vars(test_how_a_batch_is_cut).keys()


def test_each_class_with_the_whole_contract_is_there():
    said = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "tests" / "plugins").rglob("test_*.py"))
    assert {*re.findall(r"class (Test\w+)\(", said)} >= WHOLE.keys()


def test_a_command_that_is_only_composed_has_one_of_its_kind_that_is_run():
    ran = {
        kind(command)
        for page in pages() for fence in fences(page) if not fence.why_not_run
        for command in fence.commands() if (page, fence.line, command.text) not in repeated()
    }  # fmt: skip
    assert repeated()
    assert {kind(Command(text)) for _, _, text in repeated()} <= ran


@pytest.mark.parametrize("target", ["test", "test-rest", "test-all"])
def test_the_makefile_runs_either_part_and_both(target: str):
    (rule,) = re.findall(rf"^{target}:.*\n\t(.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert rule == {
        "test": '$(PYTEST) -m "not exhaustive"', "test-rest": "$(PYTEST) -m exhaustive", "test-all": "$(PYTEST)"
    }[target]  # fmt: skip
