"""Do not train on what is evaluated on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from luthier.api import RecipeError, example_text, source_state

if TYPE_CHECKING:
    from luthier.api import Example, Source, Tally

_WORD = re.compile(r"\w+")


class Decontaminate:
    """Leave out each training example that shares a run of `words` words with a text of the sources in `against`.

    13 words are those of Brown et al., 2020, appendix C; letters only, case aside. Texts of fewer words cannot be
    looked for and are counted. Eight bytes of each run of the evaluation sets are held.
    """

    def __init__(self, *, against: dict[str, Any] | None = None, words: int = 13) -> None:
        self.against: dict[str, Source] = dict(against or {})
        self.words = words
        if not self.against or words < 2:
            raise RecipeError(
                "Decontamination needs the sets to look for, and runs of two words or more.",
                where="data.filters",
                hint="Add a set to the recipe: /data@data.filters.NAME.against.SET: jsonl.",
            )

    def __call__(self, examples: Iterable[Example], tally: Tally) -> Iterator[Example]:
        """Counts `dropped`, `dropped for <set>`, `evaluation texts` and, of these, `too short to look for`."""
        known: dict[int, str] = {}
        for name, source in self.against.items():
            for example in source:
                runs = list(self._runs(example_text(example)))
                known.update(dict.fromkeys(runs, name))
                tally.counts["evaluation texts"] += 1
                tally.counts["too short to look for"] += not runs
        for example in examples:
            found = None
            if example["split"] == "train":
                found = next((known[run] for run in self._runs(example_text(example)) if run in known), None)
            if found is None:
                yield example
            else:
                tally.counts["dropped"] += 1
                tally.counts[f"dropped for {found}"] += 1

    def state(self) -> Any:
        """The states of the sets; None where one cannot be told."""
        states = [source_state(source) for source in self.against.values()]
        return None if None in states else states

    def _runs(self, text: str) -> Iterator[int]:
        said = _WORD.findall(text.lower())
        for at in range(len(said) - self.words + 1):
            run = " ".join(said[at : at + self.words]).encode()
            yield int.from_bytes(blake2b(run, digest_size=8).digest(), "big")
