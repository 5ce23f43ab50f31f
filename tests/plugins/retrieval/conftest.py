"""A tokenizer, a cache of its own, and documents to look up in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from luthier.inference.embeddings.hashed import Hashed
from luthier.models.bpe import byte_level_bpe
from luthier_retrieval.documents import Document, Documents
from luthier_retrieval.layouts.fenced import Fenced
from luthier_retrieval.neighbours.exact import Exact
from luthier_retrieval.reranking.none import AsFound as Unchanged
from luthier_retrieval.retrieval import Retrieval
from luthier_retrieval.searches.bm25 import Bm25
from luthier_retrieval.searches.dense import Dense
from luthier_retrieval.searches.hybrid import Hybrid
from luthier_retrieval.teaching.as_found import AsFound


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def tokenizer():
    return byte_level_bpe(400)


class Written(Documents):
    """Documents of a test, by name."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts

    def __iter__(self):
        return (Document(name, text) for name, text in self.texts.items())

    place = "written in a test"
    warnings = property(lambda self: [])


SHOP = {
    "prices": "Rehairing a violin bow costs 65 euros.",
    "hours": "The shop is open on Saturday until one.",
    "wood": "The back of a cello is made of maple or poplar wood.",
    "rental": "A student cello costs 34 euros a month.",
}


def hybrid() -> Hybrid:
    return Hybrid(searches={"words": Bm25(), "meaning": Dense(embedding=Hashed(), neighbours=Exact())})


@pytest.fixture
def retrieval(tokenizer) -> Callable[..., Retrieval]:
    def made(texts: dict[str, str] | Documents = SHOP, **settings) -> Retrieval:
        documents = Written(texts) if isinstance(texts, dict) else texts
        parts = {
            "search": Bm25(), "reranking": Unchanged(), "layout": Fenced(), "teaching": AsFound(),
        }  # fmt: skip
        prompt = Retrieval(documents=documents, **{**parts, **settings})
        prompt.learn([], tokenizer)
        return prompt

    return made


def asked(question: str, **more: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": question}], **more}
