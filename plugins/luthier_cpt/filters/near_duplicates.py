"""Drop what has been said before in nearly the same words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

from luthier.api import Needs, RecipeError, example_text

if TYPE_CHECKING:
    from luthier.api import Example, Tally

_WORD = re.compile(r"\w+")
_SEED = 42


class NearDuplicates:
    """Keep the first of texts whose runs of `words` words overlap by `similarity` or more (Jaccard).

    The overlap is estimated by MinHash with `permutations` hashes, candidates are found by locality-sensitive hashing
    (Broder, 1997; Lee et al., 2022): the estimate is off by about 1 / √permutations. Some 2 KB of each text are held.
    One that stands in a held-out split and nearly so in training is dropped where it comes second.
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
        """Counts `dropped`, and of these `overlap`: the text that stays is of another split."""
        from rensa import RMinHash, RMinHashDeduplicator

        known = RMinHashDeduplicator(threshold=self.similarity, num_perm=self.permutations, use_lsh=True)
        split_of: dict[str, str] = {}
        for number, example in enumerate(examples):
            sketch = RMinHash(num_perm=self.permutations, seed=_SEED)
            sketch.update(list(self._runs(example_text(example))))
            if known.add(str(number), sketch):
                if example["split"] != "train":
                    split_of[str(number)] = example["split"]
                yield example
                continue
            tally.counts["dropped"] += 1
            twins = {split_of.get(twin, "train") for twin in known.get_duplicates(sketch)}
            tally.counts["overlap"] += twins != {example["split"]}

    def _runs(self, text: str) -> Iterator[str]:
        said = _WORD.findall(text.lower())
        return (" ".join(said[at : at + self.words]) for at in range(max(1, len(said) - self.words + 1)))
