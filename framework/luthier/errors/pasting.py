"""Settings as people can paste them into a shell: Hydra and the shell read them as they are meant."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

_PLAIN = re.compile(r"(\.{0,2}/)?[A-Za-z_][\w./:@-]*", re.ASCII)
_NO_TEXT = re.compile(r"true|false|null|none|nan|inf|infinity|yes|no|on|off|\.nan|\.inf", re.IGNORECASE)
_KEY = re.compile(r"[A-Za-z_][\w-]*( [A-Za-z_][\w-]*)*", re.ASCII)


def setting_to_paste(path: str, value: Any) -> str:
    """`path=value` as one word of a shell, for a value that is plain, or a list or a mapping of such.

    Hydra has no way to write a key with other signs than letters of ASCII, digits, `_`, `-` and single blanks. A
    mapping with such a key is given as it stands in a recipe file.
    """
    if _is_writable(value):
        return shlex.quote(setting_word(path, value))
    parent, _, name = path.rpartition(".")
    return f"in a recipe file, {name}: {json.dumps(value, ensure_ascii=False)} under {parent}"


def setting_word(path: str, value: Any) -> str:
    """`path=value` as Hydra reads it, not quoted for a shell; keys with special signs stand as they are."""
    return f"{path}={_written(value)}"


def _is_writable(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_KEY.fullmatch(key) and not _NO_TEXT.fullmatch(key) for key in value) and all(
            map(_is_writable, value.values())
        )
    return all(map(_is_writable, value)) if isinstance(value, list) else True


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and not _NO_TEXT.fullmatch(value):
        return value
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', value)
    return '"' + re.sub(r"(\\+)$", r"\1\1", escaped) + '"'
