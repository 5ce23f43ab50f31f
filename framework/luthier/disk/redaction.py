"""Keeps secrets out of all that leaves the process: files, lines of the console, logs, trackers, reports."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from luthier.disk.secret_forms import (
    ANSWER,
    ASSIGNED,
    BEFORE_A_NAME,
    FORM,
    FORTY_DIGITS,
    INSIDE_A_WORD,
    KEPT,
    NAME_OF_A_CLASS,
    NAME_OF_A_VARIABLE,
    NO_KEY,
    SAYS_KEY,
    TRACKERS,
    WORD_OF_A_MODEL,
    names_a_secret,
)

REDACTED = "[redacted]"
FLAG = re.compile(r"(?:^|\s)--[\w\-]*$")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
AROUND = 80
"""The characters before forty digits that may say that they are a key."""
SHORTEST = 8
"""Of a secret in the environment: a shorter one is a word that stands in harmless texts, too."""


def redact(value: Any, key: str = "") -> Any:
    """The value with every secret in it replaced: by the name of its key, by its form, or known from the environment.

    `secret: NAME` names an environment variable and stays; a tokenizer's `pad_token` and its like stay as well.
    """
    return _redacted(value, key, tracked=bool(TRACKERS.search(key)), secrets=_of_the_environment())


def _redacted(value: Any, key: str, *, tracked: bool, secrets: Sequence[str]) -> Any:
    if isinstance(value, Mapping):
        return {
            _without(name, secrets) if isinstance(name, str) else name: _redacted(
                item, str(name), tracked=tracked or bool(TRACKERS.search(str(name))), secrets=secrets
            )
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_redacted(item, key, tracked=tracked, secrets=secrets) for item in value]
    if not isinstance(value, str) or not value:
        return value
    if key == "secret" and NAME_OF_A_VARIABLE.fullmatch(value) and not FORM.search(value):
        return value
    if names_a_secret(key) or (tracked and re.fullmatch(r"[0-9a-f]{40}", value)):
        return REDACTED
    return _without(value, secrets)


def redact_text(text: str) -> str:
    """A text with whatever looks like a secret, or is one of the environment's, replaced."""
    return _without(text, _of_the_environment())


def _without(text: str, secrets: Sequence[str]) -> str:
    """A text without these secrets, and without what has the form of one."""
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    text = ASSIGNED.sub(_assigned, FORM.sub(_formed, text))
    return FORTY_DIGITS.sub(_forty_digits, text)


def _formed(found: re.Match[str]) -> str:
    if INSIDE_A_WORD.match(found.string, max(0, found.start() - 1)) and not _escape(found.string, found.start()):
        return found[0]
    before, after = next((kept for start, kept in KEPT.items() if found[0].startswith(start)), ("", ""))
    return before + REDACTED + after


def _escape(text: str, at: int) -> bool:
    """Whether the letter before a place is that of an escaped end of line or tabulator."""
    return text[max(0, at - 2) : at] in ("\\n", "\\r", "\\t")


def _assigned(found: re.Match[str]) -> str:
    """An assignment without its value, unless its name is a word of tokenizers or its value names a variable."""
    before, value = found["before"], found["value"]
    name, around = found["name"].lower(), found.string[max(0, found.start() - 16) : found.start()]
    if name in BEFORE_A_NAME and not BEFORE_A_NAME[name].search(around):
        return found[0]
    if found["between"] == " " and not FLAG.search(around):
        return found[0]  # "the token is", and no `--token is`
    if name == "token" and WORD_OF_A_MODEL.search(around):
        return found[0]
    after = found.string[found.end() : found.end() + 2]
    if after == " (" and ANSWER.search(around) and NAME_OF_A_CLASS.fullmatch(value):
        return found[0]  # "optimizer=bad_signature: BadSignature (acme 1.0, …"
    if name == "secret" and NAME_OF_A_VARIABLE.fullmatch(value):
        return found[0]
    if name == "token" and NUMBER.fullmatch(value):
        return found[0]  # milliseconds for each token
    return before + REDACTED


def _forty_digits(found: re.Match[str]) -> str:
    before = found.string[max(0, found.start() - AROUND) : found.start()]
    named = SAYS_KEY.search(before)
    return REDACTED if named and not NO_KEY.search(before, named.start()) else found[0]


def _of_the_environment() -> list[str]:
    secrets = {
        value
        for name, value in os.environ.items()
        if len(value) >= SHORTEST and not value.startswith("/") and names_a_secret(name)
    }
    return sorted(secrets | {quote(one, safe="") for one in secrets}, key=len, reverse=True)
