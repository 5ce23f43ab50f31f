"""A tokenizer that marks turns, and reviews to choose examples from."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.models.bpe import byte_level_bpe
from luthier.parts import Example


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def tokenizer():
    return byte_level_bpe(400)


def review(text: str, label: str, **more: object) -> Example:
    asked = {"role": "user", "content": f"Happy or not?\n\n{text}"}
    answer = {"role": "assistant", "content": label}
    return {"messages": [asked, answer], "text": text, "label": label, "split": "train", **more}


@pytest.fixture
def reviews() -> list[Example]:
    return [
        review("The bow broke at once", "unhappy", stars=1),
        review("A warm violin", "happy", stars=5),
        review("The violin sounds thin", "unhappy", stars=2),
        review("My cello sings", "happy", stars=5),
        review("The best strings for a cello", "happy", stars=4),
        review("A case without a handle", "unhappy", stars=1),
    ]
