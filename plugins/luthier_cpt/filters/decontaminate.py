"""Decontamination: training text that overlaps with evaluation sets is dropped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from luthier.api import RecipeError, example_text, source_state
from luthier_cpt.filters.word_ngrams import word_ngrams

if TYPE_CHECKING:
    from luthier.api import Example, Source, Tally


class Decontaminate:
    """Drop each training example that shares a word n-gram, n being `words`, with a text of the sources in `against`.

    13-grams are those of Brown et al., 2020, appendix C; punctuation and case are ignored. Texts with fewer words have
    no n-gram and are counted. Memory holds eight bytes for each n-gram of the evaluation sets.
    """

    def __init__(self, *, against: dict[str, Any] | None = None, words: int = 13) -> None:
        self.against: dict[str, Source] = dict(against or {})
        self.words = words
        if not self.against or words < 2:
            raise RecipeError(
                "Decontamination needs evaluation sets, and n-grams of two words or more.",
                where="data.filters",
                hint="Add a set to the recipe: /data@data.filters.NAME.against.SET: jsonl.",
            )

    def __call__(self, examples: Iterable[Example], tally: Tally) -> Iterator[Example]:
        """Counts `dropped`, `dropped for <set>`, `evaluation texts` and, of these, `too short to look for`."""
        set_of_ngram: dict[int, str] = {}
        for name, source in self.against.items():
            for example in source:
                ngrams = list(self._ngrams(example_text(example)))
                set_of_ngram.update(dict.fromkeys(ngrams, name))
                tally.counts["evaluation texts"] += 1
                tally.counts["too short to look for"] += not ngrams
        for example in examples:
            overlapping = None
            if example["split"] == "train":
                found = (set_of_ngram.get(ngram) for ngram in self._ngrams(example_text(example)))
                overlapping = next((name for name in found if name is not None), None)
            if overlapping is None:
                yield example
            else:
                tally.counts["dropped"] += 1
                tally.counts[f"dropped for {overlapping}"] += 1

    def state(self) -> Any:
        """The states of the sets; None where one is unknown."""
        states = [source_state(source) for source in self.against.values()]
        return None if None in states else states

    def _ngrams(self, text: str) -> Iterator[int]:
        """The hashes of the n-grams of a text."""
        for ngram in word_ngrams(text, self.words):
            yield int.from_bytes(blake2b(ngram.encode(), digest_size=8).digest(), "big")
