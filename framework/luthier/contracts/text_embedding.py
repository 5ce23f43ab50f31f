"""What an embedder and a reranker are beside their network: pooling, prompts, and the length that texts are cut to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Pooling = Literal["mean", "cls", "max", "lasttoken"]
"""As sentence-transformers names them: the mean or maximum over a text's tokens, or its first or last token."""
Similarity = Literal["cosine", "dot"]
"""`cosine`: embeddings have norm 1; `dot`: they are left as they are."""
Activation = Literal["identity", "sigmoid"]
"""What the output of a cross-encoder becomes."""
TextKind = Literal["query", "document"]
"""What a text is to an embedder, which may have other words before each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEmbedding:
    """How the hidden states of a text become its embedding, and what stands before queries and documents."""

    pooling: Pooling
    """What is taken of the hidden states."""
    similarity: Similarity = "cosine"
    """What the inner product of two embeddings is."""
    length: int
    """Texts are cut to so many tokens, special tokens included."""
    query_prompt: str = ""
    """The words before a query."""
    document_prompt: str = ""
    """The words before a document."""
    dimensions: tuple[int, ...] = ()
    """The first so many numbers of an embedding are one, too (Matryoshka), beside all of them."""

    def prompt(self, kind: TextKind) -> str:
        """The words before a text of this kind."""
        return self.query_prompt if kind == "query" else self.document_prompt

    def as_json(self) -> dict[str, Any]:
        """For a manifest."""
        return {**asdict(self), "dimensions": list(self.dimensions)}

    @classmethod
    def from_json(cls, stated: Mapping[str, Any]) -> TextEmbedding:
        """What `as_json` gave."""
        return cls(**{**stated, "dimensions": tuple(stated["dimensions"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reranker:
    """How a cross-encoder reads a query with a document, and what its one output becomes."""

    length: int
    """Both texts together are cut to so many tokens, at the end of the document."""
    activation: Activation
    """`sigmoid`: scores are from 0 to 1; `identity`: the output itself."""

    def as_json(self) -> dict[str, Any]:
        """For a manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, stated: Mapping[str, Any]) -> Reranker:
        """What `as_json` gave."""
        return cls(**stated)


@dataclass(frozen=True, slots=True)
class RankedDocument:
    """A document of a ranking."""

    number: int
    """Its place in the list that was given."""
    score: float
    """The higher, the more relevant."""
    text: str
    """The document."""
