"""Quality rules of Gopher: text that does not look like prose is dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from luthier.api import example_text

if TYPE_CHECKING:
    from luthier.api import Example, Tally

_STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})
_BULLETS = ("•", "-", "*", "‣", "–")
_ELLIPSES = ("…", "...")


class Quality:
    """Drop texts by the rules of Gopher (Rae et al., 2021, appendix A.1.1), each of which is a setting.

    A text is kept that has `fewest_words` to `most_words` words, of `shortest_mean` to `longest_mean` letters on
    average, at least `alphabetic` of them with a letter; at most `symbols` hashes or ellipses a word; at most
    `bullets` of its lines begin with a bullet, `ellipses` end with an ellipsis and `repeated` are repetitions of
    others; and it has `stop_words` of eight English ones (0 for text of another language).
    """

    def __init__(
        self,
        *,
        fewest_words: int = 50,
        most_words: int = 100_000,
        shortest_mean: float = 3.0,
        longest_mean: float = 10.0,
        alphabetic: float = 0.8,
        symbols: float = 0.1,
        bullets: float = 0.9,
        ellipses: float = 0.3,
        repeated: float = 0.3,
        stop_words: int = 2,
    ) -> None:
        self.fewest_words, self.most_words = fewest_words, most_words
        self.shortest_mean, self.longest_mean = shortest_mean, longest_mean
        self.alphabetic, self.symbols, self.bullets = alphabetic, symbols, bullets
        self.ellipses, self.repeated, self.stop_words = ellipses, repeated, stop_words
        self.rules: dict[str, Callable[[list[str], list[str]], bool]] = {
            "too few words": lambda words, lines: len(words) < self.fewest_words,
            "too many words": lambda words, lines: len(words) > self.most_words,
            "words too short": lambda words, lines: _mean(map(len, words)) < self.shortest_mean,
            "words too long": lambda words, lines: _mean(map(len, words)) > self.longest_mean,
            "too few letters": lambda words, lines: _mean(map(_has_letter, words)) < self.alphabetic,
            "too many symbols": lambda words, lines: _mean(map(_symbols, words)) > self.symbols,
            "too many bullets": lambda words, lines: _mean(one.startswith(_BULLETS) for one in lines) > self.bullets,
            "too many ellipses": lambda words, lines: _mean(one.endswith(_ELLIPSES) for one in lines) > self.ellipses,
            "too many repeated lines": lambda words, lines: 1 - len(set(lines)) / max(1, len(lines)) > self.repeated,
            "too few stop words": lambda words, lines: _stop_words(words) < self.stop_words,
        }

    def __call__(self, examples: Iterable[Example], tally: Tally) -> Iterator[Example]:
        """Counts the first rule that a text breaks, as `too few words`, …"""
        for example in examples:
            if broken := self.broken(example_text(example)):
                tally.counts[broken] += 1
            else:
                yield example

    def broken(self, text: str) -> str:
        """The first rule that the text breaks, an empty string where it breaks none."""
        words, lines = text.split(), [line.strip() for line in text.splitlines() if line.strip()]
        return next((name for name, breaks in self.rules.items() if breaks(words, lines)), "")


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else 0.0


def _has_letter(word: str) -> bool:
    return any(map(str.isalpha, word))


def _symbols(word: str) -> int:
    return word.count("#") + max(map(word.count, _ELLIPSES))


def _stop_words(words: list[str]) -> int:
    return len(_STOP_WORDS & {word.lower().strip(".,;:!?()\"'") for word in words})
