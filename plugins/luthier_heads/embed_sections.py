"""What the report shows of an embedder: where it is most wrong, and what its first dimensions are worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from luthier.api import Floats, Measure, ReportSection, TextEmbedding, as_compared
from luthier_heads.held_out import Compared
from luthier_heads.pairs import TextPair

MOST, MOST_WRONG, SHOWN = 256, 8, 120
"""Examples that are looked at and shown, and characters of a text."""


def worth_of_dimensions(
    compared: Compared,
    embedding: TextEmbedding,
    measures: Mapping[str, Measure],
    statistics: Callable[[Compared], Mapping[str, Floats]],
) -> ReportSection:
    """Each measure by the first numbers of embeddings alone."""
    rows = []
    for width in (compared.embeddings.shape[1], *sorted(embedding.dimensions, reverse=True)):
        found = statistics(compared.changed(lambda each, width=width: as_compared(each, embedding, width)))  # type: ignore[misc]
        values = [float(measure.reduce(found[name].sum(0))) for name, measure in measures.items()]
        rows.append([f"{width:,}", *(f"{value:.3f}" for value in values)])
    words = [f"The first numbers of an embedding alone, on {len(compared.own):,} test examples."]
    title = "What the first dimensions are worth"
    return ReportSection(title=title, paragraphs=words, columns=["dimensions", *measures], rows=rows)


def most_wrong(compared: Compared, test: Sequence[TextPair], corpus: Sequence[TextPair]) -> ReportSection:
    """The queries whose document comes last, and what comes first; `corpus` are the pairs that they are compared with.

    Embeddings are as they are compared.
    """
    ranks, first = compared.rankings()
    texts = _texts(compared, corpus)
    wrong = sorted((number for number in range(len(ranks)) if ranks[number][0] > 1), key=lambda one: -ranks[one][0])
    rows = []
    for number in wrong[:MOST_WRONG]:
        pair, rank = test[number], f"{ranks[number][0]:,}"
        rows.append([_cut(pair.query), _cut(pair.document), rank, _cut(texts.get(first[number], ""))])
    right, among = len(ranks) - len(wrong), f"{len(compared.corpus):,} documents"
    words = [f"Of {len(ranks):,} test queries {right:,} have a document that fits first, among {among}."]
    columns = ["query", "document", "rank", "first is"] if rows else []
    return ReportSection(title="Where it is most wrong", paragraphs=words, columns=columns, rows=rows)


def _texts(compared: Compared, corpus: Sequence[TextPair]) -> dict[int, str]:
    """The texts of the corpus by their identities."""
    numbers = torch.cat([compared.others.document_ids, compared.others.negative_ids]).tolist()
    texts = [pair.document for pair in corpus] + [text for pair in corpus for text in pair.negatives]
    return dict(zip(numbers, texts, strict=True))


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= SHOWN else f"{flat[:SHOWN]} …"
