"""Old names in the words of a command line, replaced by those of now: of answers, and of settings that a word sets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from luthier.config.command_line import Word
from luthier.config.renamed_settings import current_path
from luthier.plugins.renamed import current_answer, note, renamed_keys

_NAME = re.compile(r"[\w./-]+")


def current_words(words: Sequence[Word], composed: Callable[[Sequence[str]], Any]) -> tuple[list[str], list[str]]:
    """The overrides under the names of now, and a sentence for each old one.

    `composed` gives the configuration that overrides come to; it is asked only where a word may name something old.
    """
    current = [with_current_answers(word) for word in words]
    plain = [text for word, text in zip(words, current, strict=True) if not _may_be_old(word)]
    if len(plain) < len(words):
        current = list(_with_current_paths(words, current, composed(plain)))
    pairs = zip(words, current, strict=True)
    return current, [note(word.text, new) for word, new in pairs if new != word.text]


def with_current_answers(word: Word) -> str:
    """Its text with each answer of it, one or those of a sweep, under the name of now."""
    key, equals, value = word.text.partition("=")

    def current(name: re.Match[str]) -> str:
        return current_answer(f"{word.key}/{name[0]}").removeprefix(f"{word.key}/")

    return f"{key}{equals}{_NAME.sub(current, value)}"


def _with_current_paths(words: Sequence[Word], texts: Sequence[str], config: Any) -> Iterator[str]:
    added: set[str] = set()  # by the words before
    for word, text in zip(words, texts, strict=True):
        key, equals, value = text.partition("=")
        adds = key.startswith("+") or value.startswith("{")
        path = word.package or word.key
        if any(f"{path}.".startswith(f"{other}.") for other in added):
            yield text
            continue
        added |= {path} if adds else set()
        start = key[: key.rindex(path)]
        yield f"{start}{current_path(path, config, adds=adds)}{key[len(start + path) :]}{equals}{value}"


def _may_be_old(word: Word) -> bool:
    return bool(renamed_keys() & set(re.split(r"[./]", word.package or word.key)))
