"""A check of templates from others in a child process with limited time and memory."""

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
_TIMEOUT = 30  # seconds of wall time, enough for a busy machine


def check_template(source: str, name: str, *, given: Sequence[Mapping[str, Any]] | None = None) -> None:
    """Refused for a template that takes more than 2 s of processor time or 512 MB, or that violates the sandbox.

    The sandbox prevents a template from calling code, not from looping. Each template is rendered once, with built-in
    conversations, or with the variables in `given` if it is not a chat template; a passed check is cached under the
    hash of its text. luthier's own templates are not checked. Where the operating system has no resource limits
    (Windows), only wall time is limited.
    """
    if source in _own_templates():
        return
    if len(source) > _LONGEST:
        raise Refused(
            f"{name} is {len(source)} characters long.",
            hint="Write a shorter one." if given else "Choose model.chat_template=chatml.",
        )
    checked = json.dumps([source, given]) if given else source
    passed = cache.cache_folder("templates") / hashlib.sha256(checked.encode("utf-8", "surrogatepass")).hexdigest()
    if passed.exists():
        return
    fault = _fault(source, given)
    if fault:
        raise Refused(
            f"{name} {fault}.",
            hint="Write another." if given else "Choose model.chat_template=chatml or a template that you know.",
        )
    _record(passed)


def _fault(source: str, given: Sequence[Mapping[str, Any]] | None) -> str:
    child = [sys.executable, "-I", str(Path(__file__).with_name("first_render.py")), str(SECONDS), str(MEGABYTES)]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and our own file
            child, input=json.dumps([source, given]), capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return f"does not end within {_TIMEOUT} seconds"
    if done.returncode == 0:
        return ""
    lines = done.stderr.strip().splitlines()
    return lines[-1] if done.returncode == 3 and lines else f"takes more than {SECONDS} seconds or {MEGABYTES} MB"


def _record(passed: Path) -> None:
    try:
        handle, temporary = tempfile.mkstemp(dir=passed.parent)
        os.close(handle)
        os.replace(temporary, passed)
    except OSError:
        return  # it is checked again next time


@lru_cache(maxsize=1)
def _own_templates() -> frozenset[str]:
    folder = files("luthier.models.templates")
    return frozenset(file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith(".jinja"))
