"""A template from a stranger renders first in a child process that may take little time and little memory."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from luthier.errors import Refused
from luthier.fetch import cache

SECONDS = 2
MEGABYTES = 512
_LONGEST = 1_000_000  # characters of a template
_PATIENCE = 30  # seconds of wall time, for a machine that is busy with other things


def check_template(source: str, name: str, *, given: Sequence[Mapping[str, Any]] | None = None) -> None:
    """Refuse a template that takes more than 2 s of processor time or 512 MB, or that reaches out of the sandbox.

    The sandbox stops a template from calling code, not from looping. Each template is tried once, on conversations
    of luthier's own, and a good verdict is kept in the cache under the hash of its text; luthier's own templates need
    none. A template that is not one of conversations is tried on the variables in `given`. Where the operating system
    has no limits to set (Windows), only wall time is bounded.
    """
    if source in _own():
        return
    if len(source) > _LONGEST:
        raise Refused(
            f"{name} is {len(source)} characters long.",
            hint="Write a shorter one." if given else "Choose model.chat_template=chatml.",
        )
    tried = json.dumps([source, given]) if given else source
    verdict = cache.cache_folder("templates") / hashlib.sha256(tried.encode("utf-8", "surrogatepass")).hexdigest()
    if verdict.exists():
        return
    complaint = _try(source, given)
    if complaint:
        raise Refused(
            f"{name} {complaint}.",
            hint="Write another." if given else "Choose model.chat_template=chatml or a template that you know.",
        )
    _keep(verdict)


def _try(source: str, given: Sequence[Mapping[str, Any]] | None) -> str:
    child = [sys.executable, "-I", str(Path(__file__).with_name("first_render.py")), str(SECONDS), str(MEGABYTES)]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and our own file
            child, input=json.dumps([source, given]), capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return f"does not end within {_PATIENCE} seconds"
    if done.returncode == 0:
        return ""
    lines = done.stderr.strip().splitlines()
    return lines[-1] if done.returncode == 3 and lines else f"takes more than {SECONDS} seconds or {MEGABYTES} MB"


def _keep(verdict: Path) -> None:
    try:
        handle, temporary = tempfile.mkstemp(dir=verdict.parent)
        os.close(handle)
        os.replace(temporary, verdict)
    except OSError:
        return  # it is only tried again the next time


@lru_cache(maxsize=1)
def _own() -> frozenset[str]:
    folder = files("luthier.models.templates")
    return frozenset(file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith(".jinja"))
