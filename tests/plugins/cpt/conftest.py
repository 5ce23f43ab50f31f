"""A cache of the tests' own, and a corpus that is made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.cpt.tiny_corpus import documents, tiny


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def cache(session_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(session_cache))


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
