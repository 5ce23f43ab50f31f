"""Measuring an embedder: each query against all documents of its split, each graded pair among all pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luthier.api import Example, Row, TokenSequence
from luthier_heads.embedded_pairs import EmbeddedPairs
from luthier_heads.pairs import pair_of
from luthier_heads.ranking import ranks_of


@dataclass
class HeldOutPairs:
    """The examples of a split. The corpus is the documents of at most `most` of them, drawn by a fixed seed."""

    examples: Sequence[Example]
    most: int

    @cached_property
    def drawn(self) -> list[Example]:
        """The examples whose documents are the corpus."""
        if len(self.examples) <= self.most:
            return list(self.examples)
        places = np.random.default_rng(0).choice(len(self.examples), self.most, replace=False)
        return [self.examples[int(place)] for place in np.sort(places)]

    @cached_property
    def relevant(self) -> Mapping[str, list[str]]:
        """The documents that fit each query of the split."""
        found: dict[str, list[str]] = {}
        for example in self.examples:
            pair = pair_of(example)
            found.setdefault(pair.query, []).append(pair.document)
        return {query: list(dict.fromkeys(documents)) for query, documents in found.items()}


@dataclass
class UniqueTexts:
    """Token sequences, each of them once."""

    sequences: list[TokenSequence] = field(default_factory=list)
    _places: dict[bytes, int] = field(default_factory=dict)

    def place(self, sequence: TokenSequence) -> int:
        """The place of a sequence, which is added where it is new."""
        place = self._places.setdefault(sequence.ids.tobytes(), len(self.sequences))
        if place == len(self.sequences):
            self.sequences.append(sequence)
        return place

    def places(self, rows: Iterable[Row]) -> list[int]:
        """The places of all sequences of rows, in order."""
        return [self.place(sequence) for row in rows for sequence in row.sequences]


@dataclass
class Compared:
    """Rows and the corpus that they are compared with, embedded."""

    own: EmbeddedPairs
    others: EmbeddedPairs
    embeddings: Tensor
    """Of all texts, [texts, width], by the identities of the pairs."""
    relevant: list[list[int]]
    """The documents that fit the query of each row, by their identities."""

    @classmethod
    def of(
        cls,
        rows: Sequence[Row],
        corpus: Sequence[Row],
        relevant: Sequence[Sequence[TokenSequence]],
        embed: Callable[[Sequence[TokenSequence]], Tensor],
    ) -> Compared:
        """Embed every text once: those of rows, of the corpus, and the documents that fit each row's query."""
        texts = UniqueTexts()
        own, others = texts.places(rows), texts.places(corpus)
        fitting = [sorted({texts.place(sequence) for sequence in each}) for each in relevant]
        embeddings = embed(texts.sequences)
        made = [
            EmbeddedPairs.of(
                embeddings[place],
                torch.tensor(place, dtype=torch.int64, device=embeddings.device),
                [len(row.sequences) for row in of],
                torch.tensor([row.values.get("score", 0.0) for row in of]),
            )
            for place, of in ((own, rows), (others, corpus))
        ]
        return cls(made[0], made[1], embeddings, fitting)

    def changed(self, change: Callable[[Tensor], Tensor]) -> Compared:
        """The same with every embedding changed."""
        return Compared(self.own.changed(change), self.others.changed(change), change(self.embeddings), self.relevant)

    @property
    def corpus(self) -> NDArray[np.int64]:
        """The identities of the documents that queries are compared with, each once."""
        return np.unique(torch.cat([self.others.document_ids, self.others.negative_ids]).cpu().numpy())

    def rankings(self) -> tuple[list[list[int]], list[int]]:
        """The ranks of the documents that fit each query, and the identity of the document that comes first."""
        places = self.corpus
        candidates = torch.from_numpy(places).to(self.embeddings.device)
        ranks, first = [], []
        for start in range(0, len(self.own), 256):
            queries = self.own.queries[start : start + 256]
            scores = (queries @ self.embeddings[candidates].T).float().cpu().numpy()
            for number, row in enumerate(scores):
                fits = self.relevant[start + number]
                theirs = (self.embeddings[fits] @ queries[number]).float().cpu().numpy()
                others = ~np.isin(places, fits)
                ranks.append(ranks_of(theirs, row[others]))
                best = int(places[others][row[others].argmax()]) if others.any() else fits[0]
                first.append(fits[int(theirs.argmax())] if ranks[-1][0] == 1 else best)
        return ranks, first
