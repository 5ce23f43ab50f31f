"""Keep text of some languages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

from luthier.api import Needs, RecipeError, example_text, nearest

if TYPE_CHECKING:
    from luthier.api import Example, Tally

_LOOK_AT = 4000  # characters, which tell a language as well as a book does


class Language:
    """Leave out texts of other `languages` (ISO 639-1 codes) than these, and those told with less `confidence`.

    The language is told from byte n-grams by naive Bayes over 97 languages (Lui & Baldwin, 2012: langid.py), from the
    first 4,000 characters; the confidence is the probability of that language.
    """

    needs: ClassVar[Needs] = {"py3langid": "luthier[cpt]"}

    def __init__(self, *, languages: list[str] | None = None, confidence: float = 0.5) -> None:
        self.languages, self.confidence = list(languages or ["en"]), confidence

    def __call__(self, examples: Iterable[Example], tally: Tally) -> Iterator[Example]:
        """Counts `dropped <language>` and `dropped as uncertain`."""
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        known = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        for name in self.languages:
            if name not in known.labels:
                raise RecipeError(
                    f"There is no language {name!r} to keep.",
                    where="data.filters",
                    hint=nearest(name, known.labels, "There are"),
                )
        for example in examples:
            language, probability = known.classify(example_text(example)[:_LOOK_AT])
            if language not in self.languages:
                tally.counts[f"dropped {language}"] += 1
            elif probability < self.confidence:
                tally.counts["dropped as uncertain"] += 1
            else:
                yield example
