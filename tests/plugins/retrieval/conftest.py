"""A prompt over a small collection of documents."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from luthier.inference.embeddings.hashed import Hashed
from luthier_retrieval.documents import Document, Documents
from luthier_retrieval.layouts.fenced import Fenced
from luthier_retrieval.neighbours.exact import Exact
from luthier_retrieval.reranking.none import NoReranking
from luthier_retrieval.retrieval import Retrieval
from luthier_retrieval.searches.bm25 import Bm25Search
from luthier_retrieval.searches.dense import DenseSearch
from luthier_retrieval.searches.hybrid import HybridSearch
from luthier_retrieval.teaching.as_found import RetrievedPassages
from tests.fixtures import own_cache, tokenizer

__all__ = ["own_cache", "tokenizer"]


class InMemoryDocuments(Documents):
    """Documents of a test, by name."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts

    def __iter__(self):
        return (Document(name, text) for name, text in self.texts.items())

    place = "in memory"


SHOP = {
    "prices": "Rehairing a violin bow costs 65 euros.",
    "hours": "The shop is open on Saturday until one.",
    "wood": "The back of a cello is made of maple or poplar wood.",
    "rental": "A student cello costs 34 euros a month.",
}


def hybrid() -> HybridSearch:
    return HybridSearch(
        searches={"words": Bm25Search(), "meaning": DenseSearch(embedding=Hashed(), neighbours=Exact())}
    )


@pytest.fixture
def retrieval(tokenizer) -> Callable[..., Retrieval]:
    def build(texts: dict[str, str] | Documents = SHOP, **settings) -> Retrieval:
        documents = InMemoryDocuments(texts) if isinstance(texts, dict) else texts
        parts = {
            "search": Bm25Search(), "reranking": NoReranking(), "layout": Fenced(), "teaching": RetrievedPassages(),
        }  # fmt: skip
        prompt = Retrieval(documents=documents, **{**parts, **settings})
        prompt.learn([], tokenizer)
        return prompt

    return build


def example_of(question: str, **more: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": question}], **more}
