"""The manifest of an artifact: what it is made of and the sha256 of each file, under a seal over all that it says.

The seal notices accidents and edits by hand. It is no signature: who writes an artifact can seal it, and what a
stranger's artifact may do is decided elsewhere (docs/explanation/trust.md).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from luthier.disk.leftovers import TEMPORARY_NAME
from luthier.disk.redaction import redact
from luthier.disk.seals import seal_of
from luthier.disk.writing import write_json
from luthier.errors import ResourceError
from luthier.fetch.digests import sha256_of_file

MANIFEST, CARD = "manifest.json", "README.md"
FORMAT, UNSEALED = 2, 1
"""Artifacts of format 1, of luthier 0.1, have no seal."""
NEEDED: dict[str, type] = {"format": int, "files": dict, "model": dict, "trained": bool, "needs_base": bool}
TYPES: dict[str, type | tuple[type, ...]] = {
    **NEEDED, "run": str, "recipe": str, "recipe_hash": str, "seed": int, "packages": dict, "data": dict,
    "places": dict, "scores": dict, "proof": dict, "best": dict, "outputs": int, "masked_lm": bool, "seal": str,
    "embedding": dict, "reranker": dict,
    "step": (int, type(None)), "commit": (dict, type(None)),
}  # fmt: skip
LARGEST = 64 << 20
HINT = "Copy the artifact again or run its recipe again."


def write(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the manifest of a folder with these facts, absolute paths made portable, over every file that is there."""
    body: Any = json.loads(json.dumps(redact(_portable(facts)), default=str))
    body = {"format": FORMAT, **{key: body[key] for key in body if key not in ("format", "files", "seal")}}
    body["files"] = {file.relative_to(folder).as_posix(): sha256_of_file(file) for file in sorted(_files(folder))}
    write_json(folder / MANIFEST, {**body, "seal": seal_of(body)}, indent=2)


def renew(folder: Path, changed: Iterable[str]) -> None:
    """Seal the manifest again with these files as they are now."""
    manifest = read(folder)
    body = {**manifest, "format": FORMAT}
    body["files"] = {**manifest["files"], **{name: sha256_of_file(folder / name) for name in changed}}
    body.pop("seal", None)
    write_json(folder / MANIFEST, {**body, "seal": seal_of(body)}, indent=2)


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a folder; ResourceError where it is not what a run wrote. The files are not looked at."""
    file = folder / MANIFEST
    manifest = _parsed(file)
    if (found := manifest.get("format")) not in (UNSEALED, FORMAT) or isinstance(found, bool):
        raise _damaged(file, f"is of format {str(found)[:40]!r}, and this luthier reads {UNSEALED} and {FORMAT}")
    if missing := [key for key in NEEDED if key not in manifest]:
        raise _damaged(file, f"does not say {missing[0]!r}")
    for key, of in TYPES.items():
        value = manifest.get(key)
        if key in manifest and (not isinstance(value, of) or (isinstance(value, bool) and of is not bool)):
            raise _damaged(file, f"has {type(value).__name__} for {key!r}")
    for name, digest in manifest["files"].items():
        if not isinstance(digest, str):
            raise _damaged(file, f"has no sha256 for {name!r}")
        if not _is_inside(name):
            raise _damaged(file, f"lists {name!r}, which is no file of this folder")
    for setting, place in manifest.get("places", {}).items():
        if not isinstance(place, dict) or not all(isinstance(way, str) for way in place.values()):
            raise _damaged(file, f"has no place for {setting!r}")
    if found == FORMAT:
        body = {key: value for key, value in manifest.items() if key != "seal"}
        if manifest.get("seal") != seal_of(body):
            raise _damaged(file, "was changed after it was written: its seal does not fit")
    return manifest


def verify(folder: Path) -> dict[str, Any]:
    """The manifest of a folder whose files are those that the run wrote; ResourceError names the first that is not.

    The card is the exception: people add to it, so `notes` says that it was changed.
    """
    manifest = read(folder)
    for name, expected in manifest["files"].items():
        file = folder / name
        if name == CARD:
            continue
        if not file.is_file():
            raise ResourceError(f"{name} of the artifact is missing.", where=str(folder), hint=HINT)
        if sha256_of_file(file) != expected:
            raise ResourceError(f"{name} of the artifact is not what the run wrote.", where=str(folder), hint=HINT)
    if manifest["format"] == FORMAT:
        known = {*manifest["files"], CARD}
        for file in sorted(_files(folder)):
            if (name := file.relative_to(folder).as_posix()) not in known and not file.name.startswith("."):
                raise ResourceError(
                    f"{name} lies in the artifact, and the run did not write it.",
                    where=str(folder),
                    hint="Move it to another folder.",
                )
    return manifest


def notes(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """What a user should know of an artifact that can be loaded."""
    found = []
    if manifest["format"] == UNSEALED:
        found.append(f"{folder / MANIFEST} has no seal: it is of luthier 0.1, and what it says cannot be checked.")
    expected = manifest["files"].get(CARD)
    if expected is not None and not (folder / CARD).is_file():
        found.append(f"{folder / CARD} is missing.")
    elif expected is not None and sha256_of_file(folder / CARD) != expected:
        found.append(f"{folder / CARD} is not what the run wrote.")
    return found


def _parsed(file: Path) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(key for number, (key, _) in enumerate(pairs) if key in dict(pairs[:number]))
            raise _damaged(file, f"says {twice!r} twice")
        return found

    if file.exists() and not file.is_file():
        raise _damaged(file, "is no file")
    try:
        if (size := file.stat().st_size) > LARGEST:
            raise _damaged(file, f"has {size} bytes, more than any manifest")
        manifest = json.loads(file.read_bytes().decode("utf-8"), object_pairs_hook=unique)
    except RecursionError:
        raise _damaged(file, "is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise _damaged(file, f"is not UTF-8 (byte {error.start})") from None
    except ValueError as error:
        raise _damaged(file, f"is no JSON ({error})") from None
    except OSError as error:
        raise _damaged(file, f"cannot be read ({error.strerror})") from error
    if not isinstance(manifest, dict):
        raise _damaged(file, f"holds a {type(manifest).__name__}, and no mapping")
    return manifest


def _damaged(file: Path, problem: str) -> ResourceError:
    return ResourceError(f"The manifest of the artifact {problem}.", where=str(file), hint=HINT)


def _files(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)
    return [path for path in found if not any(map(TEMPORARY_NAME.fullmatch, path.relative_to(folder).parts))]


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    plain = name and "\\" not in name and "\0" not in name and path.as_posix() == name
    return bool(plain) and not path.is_absolute() and ".." not in path.parts and ":" not in path.parts[0]


def _portable(value: Any) -> Any:
    """Without absolute paths: those below the working folder or the home as from there, others by their last part."""
    if isinstance(value, Mapping):
        return {key: _portable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(item) for item in value]
    if not isinstance(value, str | Path) or not os.path.isabs(value):
        return value
    path = Path(value)
    for start, shown in ((Path.cwd(), Path()), (Path.home(), Path("~"))):
        if path.is_relative_to(start) and start != Path("/"):
            return (shown / path.relative_to(start)).as_posix()
    return f"…/{path.name}"
