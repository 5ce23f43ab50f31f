"""Suggestions of the nearest known names for an unknown one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str], otherwise: str, *, most: int = 12) -> str:
    """A hint: the known names like `word`, or after `otherwise` the first of them. Names may be paths, with . or /."""
    names = {name.replace("/", "."): name for name in sorted(set(known) - {word})}
    path = word.replace("/", ".")
    if close := _elsewhere(path, list(names)) or _like(path, list(names)) or _within(path, list(names)):
        return f"Did you mean {' or '.join(names[name] for name in close)}?"
    around = [names[name] for name in _siblings(path, list(names)) or names]
    listed = ", ".join(around[:most]) + (f" and {len(around) - most} more" if len(around) > most else "")
    return f"{otherwise} {listed}." if around else ""


def _elsewhere(word: str, names: list[str]) -> list[str]:
    """Names that end as the word does, in other places."""
    return [name for name in names if name.rpartition(".")[2] == word.rpartition(".")[2]][:3]


def _like(word: str, names: list[str]) -> list[str]:
    """Names that differ little from the word as a whole, in what is left after the parts that are right."""
    around, _, last = word.rpartition(".")
    if around and not any(name.startswith(f"{around}.") for name in names):
        return get_close_matches(word, [name for name in names if name.count(".") == word.count(".")], n=3, cutoff=0.7)
    start = f"{around}." if around else ""
    beside = [name[len(start) :] for name in _siblings(word, names) if name.startswith(start)]
    return [start + name for name in get_close_matches(last, beside, n=3, cutoff=0.6)]


def _within(word: str, names: list[str]) -> list[str]:
    """Names of any depth whose last part is like the word's, or the first part of the word put right."""
    last = {name.rpartition(".")[2]: name for name in names}
    if close := get_close_matches(word.rpartition(".")[2], last, n=3, cutoff=0.75):
        return [last[name] for name in close]
    first, tops = word.partition(".")[0], [name for name in names if "." not in name]
    return get_close_matches(first, tops, n=3, cutoff=0.7) if first not in tops else []


def _siblings(word: str, names: list[str]) -> list[str]:
    """The names beside the word: as deep as it, under the longest beginning of it that exists."""
    around = word.rpartition(".")[0]
    while around and not any(name.startswith(f"{around}.") for name in names):
        around = around.rpartition(".")[0]
    start = f"{around}." if around else ""
    return [name for name in names if name.startswith(start) and "." not in name[len(start) :]]
