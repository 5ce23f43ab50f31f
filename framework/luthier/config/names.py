"""Names that stay in their folder: of runs, recipes and answers."""

from __future__ import annotations

import re

from luthier.errors import Refused

LONGEST = 200
_PART = re.compile(r"\w(?:[\w.-]*[\w-])?")
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}


def refuse_bad_name(name: str, *, where: str = "") -> None:
    """Refuse (exit 6) what would leave its folder (`..`, an absolute path), fit no disk or name a device."""
    if len(name) > LONGEST or not all(map(_is_plain, name.split("/"))):
        shown = name if len(name) <= 60 else f"{name[:57]}…"
        raise Refused(
            f"{shown!r} is not a name that luthier would give a file.",
            where=where,
            hint="Use letters, digits, '-', '_' and '.', with '/' between parts.",
        )


def _is_plain(part: str) -> bool:
    return bool(_PART.fullmatch(part)) and ".." not in part and part.partition(".")[0].lower() not in _DEVICES
