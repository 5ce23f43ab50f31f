"""Checkpoints on disk that survive a kill, a full disk and a flipped bit.

A checkpoint is a folder `step-00000012` whose MANIFEST.json names each file with its size and sha256. It is written
under a temporary name beside its final place, flushed to the disk, and only then renamed: a folder under a final
name is whole, and `newest` trusts nothing that its manifest does not verify.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from luthier.disk.refusals import PASSING, refusal
from luthier.disk.writing import put_away, settle, temporary_name
from luthier.errors import ResourceError
from luthier.fetch.digests import sha256_of_file

MANIFEST = "MANIFEST.json"
FORMAT = 1
FINAL_NAME = re.compile(r"step-(\d{8,})")

log = logging.getLogger(__name__)


class Invalid(Exception):  # noqa: N818 - read as `except Invalid`
    """A checkpoint that its manifest does not verify; says which file, and why."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file, self.reason = file, reason


def folder_name(step: int) -> str:
    return f"step-{step:08d}"


def step_of(path: Path) -> int | None:
    """The optimizer step that a checkpoint's name says; None for what is no checkpoint."""
    match = FINAL_NAME.fullmatch(path.name)
    return int(match[1]) if match else None


def checkpoints(folder: Path) -> list[Path]:
    """All folders under a final name, the highest step first, valid or not."""
    if not folder.is_dir():
        return []
    found = [(step, path) for path in folder.iterdir() if (step := step_of(path)) is not None]
    return [path for _, path in sorted(found, reverse=True)]


def write(
    folder: Path,
    step: int,
    fill: Callable[[Path], None],
    *,
    size: int = 0,
    pauses: tuple[float, ...] = (0.2, 1.0),
) -> Path:
    """Let `fill` write the files of a checkpoint and make them durable under its final name.

    An intact checkpoint of that step stays as it is. `size` is what the files will need in bytes, so that a full disk
    is noticed before anything is written. Errors that may pass (EIO, EROFS, EACCES) are tried again after each of
    `pauses` seconds; then it is a ResourceError.
    """
    for pause in (*pauses, None):
        try:
            return _write_once(folder, step, fill, size)
        except OSError as error:
            if pause is None or error.errno not in PASSING:
                raise _unwritable(folder, step, size, error) from error
            log.warning("Checkpoint of step %d: %s; trying again in %.1f s.", step, error, pause)
            time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def _write_once(folder: Path, step: int, fill: Callable[[Path], None], size: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    final, temporary = folder / folder_name(step), temporary_name(folder / folder_name(step))
    if final.exists():
        if _intact(final):
            return final
        put_away(final)
    if size > shutil.disk_usage(folder).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        fill(temporary)
        files = {path.relative_to(temporary).as_posix(): path for path in _files(temporary)}
        described = {
            name: {"bytes": path.stat().st_size, "sha256": sha256_of_file(path)} for name, path in files.items()
        }
        (temporary / MANIFEST).write_text(_manifest_text(step, described), encoding="utf-8")
        settle(temporary, final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return final


def verify(path: Path) -> dict[str, Any]:
    """The manifest of a checkpoint of which every byte is as it was written; else Invalid."""
    manifest = _manifest(path)
    for name, described in manifest["files"].items():
        file = path / name
        if not file.is_file():
            raise Invalid(file, "is missing")
        if (size := file.stat().st_size) != described["bytes"]:
            raise Invalid(file, f"has {size} bytes instead of {described['bytes']}")
        if sha256_of_file(file) != described["sha256"]:
            raise Invalid(file, "does not have the sha256 that it was written with")
    return manifest


def newest(folder: Path, passed_over: Callable[[str], None] = log.warning) -> Path | None:
    """The checkpoint to resume from: the highest step that verifies; None where there was never one.

    What does not verify is passed over, and `passed_over` is told. If nothing is left, that is a ResourceError and not
    a fresh start: somebody's hours are at stake.
    """
    found = checkpoints(folder)
    for path in found:
        try:
            verify(path)
        except (Invalid, OSError) as error:
            passed_over(f"The checkpoint {path.name} is not intact and not used: {error}.")
        else:
            return path
    if found:
        raise ResourceError(
            f"None of the {len(found)} checkpoints in {folder} is intact.",
            where=str(found[0]),
            hint="Put one back from a copy, or start from the beginning with resume=never.",
        )
    return None


def prune(folder: Path, keep: int, best: Callable[[int], int | None] = lambda step: None) -> list[Path]:
    """Remove all but the newest `keep` checkpoints (0 keeps all); damaged ones do not count as kept.

    `best` says which step was the best at a step. The best as of the oldest that is kept stays, too, so that a run that
    goes on from any of them has it; those of the later ones are among the newest.
    """
    kept, removed, spared = 0, [], None
    for path in checkpoints(folder):
        step = step_of(path) or 0
        if not keep or kept < keep:
            kept += _complete(path)
            spared = best(step)
        elif step != spared:
            put_away(path)
            removed.append(path)
    return removed


def bring(path: Path, folder: Path) -> Path:
    """Copy an intact checkpoint into a folder, unless it is there, whole or not at all; Invalid where it is damaged."""
    verify(path)
    final, temporary = folder / path.name, temporary_name(folder / path.name)
    if final.exists() and (final.samefile(path) or _intact(final)):
        return final
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(path, temporary)
    settle(temporary, final)
    return final


def cut(folder: Path, step: int) -> list[Path]:
    """Remove the checkpoints after `step`: a run that starts again from there leaves their path."""
    abandoned = [path for path in checkpoints(folder) if (step_of(path) or 0) > step]
    for path in abandoned:
        put_away(path)
    return abandoned


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _intact(path: Path) -> bool:
    try:
        verify(path)
    except (Invalid, OSError):
        return False
    return True


def _complete(path: Path) -> bool:
    """Whether the manifest holds and all sizes are right: what can be said without reading everything."""
    try:
        files = _manifest(path)["files"]
        return all((path / name).stat().st_size == described["bytes"] for name, described in files.items())
    except (Invalid, OSError):
        return False


def _manifest_text(step: int, files: dict[str, dict[str, Any]]) -> str:
    body = {"format": FORMAT, "step": step, "files": files}
    seal = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return json.dumps({**body, "seal": seal}, indent=1, sort_keys=True) + "\n"


def _manifest(path: Path) -> dict[str, Any]:
    file = path / MANIFEST
    try:
        text = file.read_text(encoding="utf-8")
        manifest = json.loads(text)
        step, files = manifest["step"], manifest["files"]
    except (FileNotFoundError, NotADirectoryError):
        raise Invalid(file, "is missing") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Invalid(file, "cannot be read") from None
    if manifest.get("format") != FORMAT:
        raise Invalid(file, f"is of format {manifest.get('format')!r}, this luthier reads {FORMAT}")
    if text != _manifest_text(step, files):
        raise Invalid(file, "was changed after it was written")
    if step != step_of(path):
        raise Invalid(file, f"says step {step}")
    result: dict[str, Any] = manifest
    return result


def _unwritable(folder: Path, step: int, size: int, error: OSError) -> ResourceError:
    who, left = f"The checkpoint of step {step}", "earlier checkpoints are intact"
    return refusal(who, folder, error, need=size, left=left, resumable=True)
