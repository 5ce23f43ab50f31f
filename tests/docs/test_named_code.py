"""The code that a page names by a dotted name or a path is there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from luthier.plugins.renamed import table
from tests.docs.doc_pages import ROOT, fences, pages

DOTTED = re.compile(r"(?<![\w/.@-])luthier(?:_[a-z]+)?(?:\.[A-Za-z_]\w*)+")
PATHS = re.compile(r"`((?!runs/)[\w-]+/[\w./-]+\.(?:py|pyi|txt))`")


def of_the_page(page: Path) -> set[str]:
    """Packages that the page itself writes, as its fences' titles say."""
    return {fence.title.partition("/")[0] for fence in fences(page) if "/" in fence.title}


def resolves(name: str) -> bool:
    words = name.split(".")
    if ".".join(words[:-1]) in table()["modules"] or name in table()["modules"]:
        return False
    for end in range(len(words), 0, -1):
        try:
            found = importlib.import_module(".".join(words[:end]))
        except ModuleNotFoundError:
            continue
        for word in words[end:]:
            if not hasattr(found, word):
                return False
            found = getattr(found, word)
        return True
    return False


def in_core(name: str) -> bool:
    """A path that is given from framework/luthier on, as the walk does."""
    return any((folder / name).exists() for folder in (ROOT, ROOT / "framework" / "luthier"))


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_dotted_name_of_a_page_is_that_of_a_module_or_what_is_in_it(page: Path):
    text = page.read_text(encoding="utf-8")
    if page.name == "CHANGELOG.md":
        text = re.sub(r"<!-- renamed -->.*<!-- end renamed -->", "", text, flags=re.DOTALL)
    names = {name for name in DOTTED.findall(text) if name.partition(".")[0] not in of_the_page(page)}
    assert not sorted(name for name in names if not resolves(name))


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_path_of_a_page_leads_to_a_file(page: Path):
    written = {fence.title for fence in fences(page)}
    names = set(PATHS.findall(page.read_text(encoding="utf-8"))) - written
    assert not sorted(name for name in names if not in_core(name))
