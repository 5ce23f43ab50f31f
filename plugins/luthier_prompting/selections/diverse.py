"""Examples that are like the question and unlike each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from luthier.api import Bm25, RecipeError, TfIdf, cosine
from luthier_prompting.demonstration import Demonstration
from luthier_prompting.selection import Selection


class Diverse(Selection):
    """Show examples by maximal marginal relevance (Carbonell & Goldstein, 1998), the best one last.

    Of the `candidates` nearest by BM25, the next one is that of the largest λ · cos(question, example) - (1 - λ) ·
    max cos(example, one that is chosen), λ being `relevance`: 1 is the nearest, 0 the most diverse. The cosine is that
    of words weighted by tf-idf.
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
        texts = [one.text for one in pool]
        self.index, self.words = Bm25(texts, k1=1.5, b=0.75), TfIdf(texts)

    def __call__(self, text: str) -> Iterable[int]:
        asked = self.words.of(text)
        left = {
            number: cosine(asked, self.words.texts[number]) for number in self.index.ranked(text)[: self.candidates]
        }
        shown = dict.fromkeys(left, 0.0)  # the likeness to the most alike of those chosen
        while left:
            best = max(left, key=lambda number: self.relevance * left[number] - (1 - self.relevance) * shown[number])
            del left[best]
            yield best
            for number in left:
                alike = cosine(self.words.texts[best], self.words.texts[number])
                shown[number] = max(shown[number], alike)
