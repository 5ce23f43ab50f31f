"""Quality rules of Gopher: text that does not look like prose is dropped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from luthier.api import example_text

if TYPE_CHECKING:
    from luthier.api import Example, Tally

_STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})
_BULLETS = ("•", "-", "*", "‣", "–")
_ELLIPSES = ("…", "...")


@dataclass(kw_only=True, eq=False)
class Quality:
    """Drop texts by the rules of Gopher (Rae et al., 2021, appendix A.1.1), each of which is a setting.

    A text is kept that has `fewest_words` to `most_words` words, of `shortest_mean` to `longest_mean` letters on
    average, at least `alphabetic` of them with a letter; at most `symbols` hashes or ellipses a word; at most
    `bullets` of its lines begin with a bullet, `ellipses` end with an ellipsis and `repeated` are repetitions of
    others; and it has `stop_words` of eight English ones (0 for text of another language).
    """

    fewest_words: int = 50
    most_words: int = 100_000
    shortest_mean: float = 3.0
    longest_mean: float = 10.0
    alphabetic: float = 0.8
    symbols: float = 0.1
    bullets: float = 0.9
    ellipses: float = 0.3
    repeated: float = 0.3
    stop_words: int = 2

    def broken_rules(self, words: list[str], lines: list[str]) -> Iterator[str]:
        """The names of the rules that a text breaks, given its words and its lines that are not empty."""
        mean_length, count = _mean(map(len, words)), len(words)
        rules = {
            "too few words": count < self.fewest_words,
            "too many words": count > self.most_words,
            "words too short": mean_length < self.shortest_mean,
            "words too long": mean_length > self.longest_mean,
            "too few letters": _mean(map(_has_letter, words)) < self.alphabetic,
            "too many symbols": _mean(map(_symbols, words)) > self.symbols,
            "too many bullets": _mean(line.startswith(_BULLETS) for line in lines) > self.bullets,
            "too many ellipses": _mean(line.endswith(_ELLIPSES) for line in lines) > self.ellipses,
            "too many repeated lines": 1 - len(set(lines)) / max(1, len(lines)) > self.repeated,
            "too few stop words": _stop_words(words) < self.stop_words,
        }
        return (name for name, is_broken in rules.items() if is_broken)

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
        return next(self.broken_rules(words, lines), "")


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else 0.0


def _has_letter(word: str) -> bool:
    return any(map(str.isalpha, word))


def _symbols(word: str) -> int:
    return word.count("#") + max(map(word.count, _ELLIPSES))


def _stop_words(words: list[str]) -> int:
    return len(_STOP_WORDS & {word.lower().strip(".,;:!?()\"'") for word in words})
