"""Maximal marginal relevance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from luthier.api import Bm25, Demonstration, RecipeError, Selection, TfIdf, cosine


class Diverse(Selection):
    """Show examples by maximal marginal relevance (Carbonell & Goldstein, 1998), the best one last.

    Of the `candidates` best by BM25, the next example maximises λ · cos(question, example) - (1 - λ) · max over the
    chosen ones of cos(example, chosen), λ being `relevance`: 1 ranks by relevance alone, 0 by diversity alone. The
    cosine is that of tf-idf vectors.
    """

    fixed = False
    best_last = True

    def __init__(self, *, relevance: float = 0.5, candidates: int = 50) -> None:
        if not 0 <= relevance <= 1:
            raise RecipeError(
                f"prompt.selection.relevance is {relevance}.", where="prompt.selection.relevance", hint="Use 0 to 1."
            )
        self.relevance, self.candidates = relevance, candidates

    def learn(self, pool: Sequence[Demonstration]) -> None:
        texts = [demonstration.text for demonstration in pool]
        self.index, self.tf_idf = Bm25(texts, k1=1.5, b=0.75), TfIdf(texts)

    def __call__(self, text: str) -> Iterable[int]:
        question, vectors = self.tf_idf.of(text), self.tf_idf.texts
        candidates = self.index.ranked(text)[: self.candidates]
        relevance = {number: cosine(question, vectors[number]) for number in candidates}
        redundancy = dict.fromkeys(candidates, 0.0)  # the largest cosine with a chosen example

        def marginal_relevance(number: int) -> float:
            return self.relevance * relevance[number] - (1 - self.relevance) * redundancy[number]

        while relevance:
            best = max(relevance, key=marginal_relevance)
            relevance.pop(best)
            yield best
            for number in relevance:
                redundancy[number] = max(redundancy[number], cosine(vectors[best], vectors[number]))
