"""What scripts have written into the documentation is what they would write now."""

from __future__ import annotations

import pytest

from luthier.reporting.page import page as report
from tests.docs.doc_pages import DOCS
from tests.scripts import script


@pytest.fixture(scope="module")
def reference() -> dict[str, str]:
    pages: dict[str, str] = script("reference").pages()
    return pages


def test_the_reference_is_what_the_code_says(reference: dict[str, str]):
    for path, text in reference.items():
        written = (DOCS / "reference" / path).read_text(encoding="utf-8")
        assert written == text, f"{path} is out of date: python docs/generate/reference.py"


def test_no_page_is_left_over_from_a_question_that_is_gone(reference: dict[str, str]):
    there = {f"questions/{page.name}" for page in (DOCS / "reference" / "questions").iterdir()}
    assert there <= reference.keys()


def test_measured_figures_are_those_of_their_records():
    measured = script("measured")
    for page in measured.PAGES:
        text = page.read_text(encoding="utf-8")
        assert measured.filled(text) == text, f"{page} is out of date: python docs/generate/measured.py"


def test_curves_are_those_of_their_records():
    curves = script("curves")
    for name in curves.PICTURES:
        drawn = (DOCS / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
        assert curves.drawn(name) == drawn, f"{name}.svg is out of date: python docs/generate/curves.py"


def test_the_picture_of_the_rooms_is_that_of_the_imports():
    rooms = script("rooms")
    assert rooms.PICTURE.read_text(encoding="utf-8") == rooms.drawn(), (
        "rooms.svg is out of date: python docs/generate/rooms.py"
    )
    assert rooms.OWNS.keys() == set(rooms.ROOMS)


def test_a_report_can_be_drawn_from_each_record_that_is_kept():
    measured = script("measured")
    for file in measured.MEASURED.glob("*.json"):
        assert measured.record(file.stem).name in report(measured.record(file.stem))


def test_the_changelog_lists_every_renamed_name():
    renamed = script("renamed")
    text = renamed.PAGE.read_text(encoding="utf-8")
    assert renamed.filled(text) == text, "CHANGELOG.md is out of date: python docs/generate/renamed.py"
    table = renamed.table()
    old = [name for kind in ("answers", "targets", "names") for name in table[kind]]
    old += [name for kind in ("settings", "entries") for names in table[kind].values() for name in names]
    assert not [name for name in old if f"| `{name}` | `" not in text]
