"""Deduplication: a text that is nearly the same as an earlier one is dropped (MinHash)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

from luthier.api import Needs, RecipeError, example_text
from luthier_cpt.filters.word_ngrams import all_words, word_ngrams

if TYPE_CHECKING:
    from luthier.api import Example, Tally

_SEED = 42


class NearDuplicates:
    """Keep the first of texts whose word n-grams, n being `words`, have a Jaccard similarity of `similarity` or more.

    The similarity is estimated by MinHash with `permutations` hashes, with a standard error of about 1 / √permutations;
    candidates are found by locality-sensitive hashing (Broder, 1997; Lee et al., 2022). Memory holds some 2 KB for each
    text. Of a held-out text and a near duplicate in training the second one is dropped.
    """

    needs: ClassVar[Needs] = {"rensa": "luthier[cpt]"}

    def __init__(self, *, similarity: float = 0.8, words: int = 5, permutations: int = 128) -> None:
        if not 0 < similarity <= 1 or words < 1 or permutations < 16:
            raise RecipeError(
                f"Near duplicates of similarity {similarity} over {words} words by {permutations} hashes "
                "cannot be found.",
                where="data.filters",
                hint="similarity is above 0 and at most 1, words at least 1, permutations at least 16.",
            )
        self.similarity, self.words, self.permutations = similarity, words, permutations

    def __call__(self, examples: Iterable[Example], tally: Tally) -> Iterator[Example]:
        """Counts `dropped`, and of these `overlap`: the text that is kept is in another split."""
        from rensa import RMinHash, RMinHashDeduplicator

        known = RMinHashDeduplicator(threshold=self.similarity, num_perm=self.permutations, use_lsh=True)
        split_of: dict[str, str] = {}
        for number, example in enumerate(examples):
            sketch = RMinHash(num_perm=self.permutations, seed=_SEED)
            sketch.update(self._ngrams(example_text(example)))
            if known.add(str(number), sketch):
                if example["split"] != "train":
                    split_of[str(number)] = example["split"]
                yield example
                continue
            tally.counts["dropped"] += 1
            twins = {split_of.get(twin, "train") for twin in known.get_duplicates(sketch)}
            tally.counts["overlap"] += twins != {example["split"]}

    def _ngrams(self, text: str) -> list[str]:
        """The n-grams of a text, or all its words where they are fewer."""
        return list(word_ngrams(text, self.words)) or [all_words(text)]
