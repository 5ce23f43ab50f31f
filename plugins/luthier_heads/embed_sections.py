"""What the report shows of an embedder: where it is most wrong, and what its first dimensions are worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from luthier.api import Example, Predictor, ReportSection, as_compared, evaluation_mode
from luthier_heads.pairs import pair_of

if TYPE_CHECKING:
    from luthier_heads.embed import Embed
    from luthier_heads.held_out import Compared

MOST, MOST_WRONG, SHOWN = 256, 8, 120
"""Examples that are looked at and shown, and characters of a text."""


@torch.no_grad()
def sections_of(method: Embed, predictor: Predictor, test: Sequence[Example]) -> Iterator[ReportSection]:
    """The sections of a run, from its first test examples."""
    looked_at = list(test[:MOST])
    rows = [method.encode(example, predictor.tokenizer) for example in looked_at]
    with evaluation_mode(predictor.network):
        compared = method.compared(predictor.network, looked_at, rows)
    if method.embedding.dimensions:
        yield _dimensions(method, compared)
    if not method.objective.graded:
        whole = compared.changed(lambda embeddings: as_compared(embeddings, method.embedding))
        yield _most_wrong(method, whole, looked_at)


def _dimensions(method: Embed, compared: Compared) -> ReportSection:
    """Each measure by the first numbers of embeddings alone."""
    names, rows = list(method.measures), []
    for width in (None, *sorted(method.embedding.dimensions, reverse=True)):
        cut = compared.changed(lambda embeddings, width=width: as_compared(embeddings, method.embedding, width))  # type: ignore[misc]
        found = method.statistics(cut)
        values = [float(method.measures[name].reduce(found[name].sum(0))) for name in names]
        size = compared.embeddings.shape[1] if width is None else width
        rows.append([f"{size:,}", *(f"{value:.3f}" for value in values)])
    words = [f"The first numbers of an embedding alone, on {len(compared.own):,} test examples."]
    return ReportSection(
        title="What the first dimensions are worth", paragraphs=words, columns=["dimensions", *names], rows=rows
    )


def _most_wrong(method: Embed, compared: Compared, test: Sequence[Example]) -> ReportSection:
    """The queries whose document comes last, and what comes first."""
    ranks, first = compared.rankings()
    texts = _texts(method, compared, test, first)
    wrong = sorted((number for number in range(len(ranks)) if ranks[number][0] > 1), key=lambda one: -ranks[one][0])
    rows = []
    for number in wrong[:MOST_WRONG]:
        pair = pair_of(test[number])
        rank = f"{ranks[number][0]:,}"
        rows.append([_cut(pair.query), _cut(pair.document), rank, _cut(texts.get(first[number], ""))])
    right = len(ranks) - len(wrong)
    among = f"{len(compared.corpus):,} documents"
    words = [f"Of {len(ranks):,} test queries {right:,} have a document that fits first, among {among}."]
    columns = ["query", "document", "rank", "first is"] if rows else []
    return ReportSection(title="Where it is most wrong", paragraphs=words, columns=columns, rows=rows)


def _texts(method: Embed, compared: Compared, test: Sequence[Example], wanted: Sequence[int]) -> dict[int, str]:
    """The texts of documents by their identities, those that are wanted."""
    numbers = torch.cat([compared.others.document_ids, compared.others.negative_ids]).tolist()
    drawn = method.corpus_of(test)
    pairs = [pair_of(example) for example in drawn]
    texts = [pair.document for pair in pairs] + [text for pair in pairs for text in pair.negatives]
    known = dict(zip(numbers, texts, strict=True))
    return {number: known[number] for number in wanted if number in known}


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= SHOWN else f"{flat[:SHOWN]} …"
