"""Whatever a page tells its reader to type can be typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.doc_kinds import has_repeated, repeated
from tests.docs.doc_pages import DOCS, ROOT, fences, pages
from tests.docs.doc_session import Session

WITH_CODE = [page for page in pages() if fences(page)]
LATER = {"pipelines.md", "distil.md", "vision-language.md", "ensemble.md", "embed.md"}
"""Pages that train several models each: `make test-rest` runs them."""
LANGUAGES = {"bash", "console", "python", "py", "yaml", "json", "jsonl", "csv", "toml", "text", "jinja", "html"}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.exhaustive] if page.name in LATER else [])
        for page in WITH_CODE
        if not (page.name in LATER and has_repeated(page))
    ],
    ids=lambda page: str(page.relative_to(ROOT)),
)
@pytest.mark.usefixtures("alone")
def test_the_commands_of_a_page_run_as_it_says(page: Path, tmp_path: Path):
    """Of commands of one kind, the first is run and the others are composed."""
    carry_out(page, Session(tmp_path, composed=repeated()))


@pytest.mark.exhaustive
@pytest.mark.parametrize("page", filter(has_repeated, WITH_CODE), ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.usefixtures("alone")
def test_all_commands_of_a_page_run_as_it_says(page: Path, tmp_path: Path):
    carry_out(page, Session(tmp_path))


def carry_out(page: Path, session: Session) -> None:
    for fence in fences(page):
        session.carry_out(fence)


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_fence_says_its_language_and_is_closed(page: Path):
    for fence in fences(page):
        assert fence.language in LANGUAGES, f"{fence} is of the language {fence.language!r}"
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(fences(page))


def test_most_commands_really_run():
    said = [fence for page in WITH_CODE if page.is_relative_to(DOCS) for fence in fences(page) if fence.commands()]
    run = [fence for fence in said if not fence.why_not_run]
    assert len(run) > len(said) / 2
