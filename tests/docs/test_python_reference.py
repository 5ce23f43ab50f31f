"""Every public name of `luthier.api` and `luthier.testing` stands in the Python reference, whole and up to date."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from luthier import api
from tests.docs.doc_pages import DOCS
from tests.scripts import script

python_api, source = script("python_api"), script("python_source")
FOLDER = DOCS / "reference" / "python"
WRITTEN = python_api.pages()


def headings(page: Path) -> list[str]:
    return re.findall(r"^## `([\w.]+)`$", page.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_page_is_what_the_source_says(name: str):
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert text == WRITTEN[name], f"{name} is out of date: python docs/generate/python_api.py"


def test_no_page_is_left_over():
    assert {page.name for page in FOLDER.iterdir()} == WRITTEN.keys()


def test_every_name_has_one_heading_and_stands_in_the_index():
    listed = [name for page in FOLDER.glob("*.md") for name in headings(page)]
    public = {*api.homes(), "VERSION", "target_name", "homes", *source.suites()}
    assert sorted(listed) == sorted(public)
    index = (FOLDER / "index.md").read_text(encoding="utf-8")
    assert {*re.findall(r"^- \[`([\w.]+)`\]", index, re.MULTILINE)} == public


def test_every_public_name_member_and_field_has_a_docstring():
    assert not [*source.undocumented()]


def test_the_reference_of_a_class_holds_what_it_inherits():
    """Fields, methods and properties of the class and of its bases, each with its signature."""
    text = (FOLDER / "methods.md").read_text(encoding="utf-8")
    own = text.partition("## `LanguageModelMethod`")[2].partition("\n## ")[0]
    assert "### `LanguageModelMethod.token_log_probs`\n\n```py\ndef token_log_probs(batch: Batch) -> Tensor\n```" in own
    assert "### `LanguageModelMethod.rate` (of `Method`)\n\n```py\ndef rate(name: str) -> float\n```" in own
    assert "| `measures` | `Mapping[str, Measure]` | `{}` |" in own


def test_pages_are_complete_without_building_the_site():
    assert not [page for page in DOCS.rglob("*.md") if re.search(r"^::: ", page.read_text("utf-8"), re.MULTILINE)]
