"""A tiny model, a made-up corpus, and a cache of the tests' own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.cpt.tiny_corpus import documents, tiny
from tests.session_cache import cache, session_cache  # noqa: F401 - fixtures


@pytest.fixture(scope="session")
def model():
    return tiny()


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder of text files: a document each, some longer than a block."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number, document in enumerate(documents(24)):
        (folder / f"{number:02}.txt").write_text(document, encoding="utf-8")
    return folder
