"""Language identification: only text of chosen languages is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

from luthier.api import Needs, RecipeError, example_text, nearest

if TYPE_CHECKING:
    from luthier.api import Example, Tally

_CHARACTERS = 4000  # of a text by which its language is identified


class Language:
    """Drop texts whose language is not in `languages` (ISO 639-1 codes), or is identified with less `confidence`.

    The language is identified from byte n-grams by naive Bayes over 97 languages (langid.py, Lui & Baldwin, 2012), of
    the first 4,000 characters; the confidence is the probability of that language.
    """

    needs: ClassVar[Needs] = {"py3langid": "luthier[cpt]"}

    def __init__(self, *, languages: list[str] | None = None, confidence: float = 0.5) -> None:
        self.languages, self.confidence = list(languages or ["en"]), confidence

    def __call__(self, examples: Iterable[Example], tally: Tally) -> Iterator[Example]:
        """Counts `dropped <language>` and `dropped as uncertain`."""
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        for name in self.languages:
            if name not in identifier.labels:
                raise RecipeError(
                    f"There is no language {name!r} to keep.",
                    where="data.filters",
                    hint=nearest(name, identifier.labels, "There are"),
                )
        for example in examples:
            language, probability = identifier.classify(example_text(example)[:_CHARACTERS])
            if language not in self.languages:
                tally.counts[f"dropped {language}"] += 1
            elif probability < self.confidence:
                tally.counts["dropped as uncertain"] += 1
            else:
                yield example
