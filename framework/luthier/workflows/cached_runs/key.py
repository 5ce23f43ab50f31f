"""The cache key of a run: a hash of its recipe, of the files that it names and of the code of its parts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from luthier.config.checks import targets_in
from luthier.config.fingerprint import recipe_hash
from luthier.disk.reading import read_json
from luthier.fetch.paths import local_path
from luthier.plugins.source_code import code_hash
from luthier.workflows import artifact_manifest

if TYPE_CHECKING:
    from luthier.config.compose import Composition

NOT_READ = {"_target_", "quarantine"}  # names of code, and of a folder that a run writes to
LONGEST_PATH = 1024


def key(composition: Composition) -> str:
    """SHA-256 over everything that a run depends on, 64 hexadecimal digits; equal keys mean equal runs.

    Hashed are the resolved recipe without `name` and `resume`, luthier's version and code, the code of each part with
    what it imports (`code_hash`), and the contents of every local file and folder that the recipe names: data,
    documents, templates, models, artifacts of earlier runs. Downloads count by their name only, so their revision
    should be pinned.
    """
    config: Any = OmegaConf.to_container(composition.config, resolve=True)
    code = code_hash(str(node["_target_"]) for _, node in targets_in(config))
    return _hash([recipe_hash(config), code, dict(_contents(config))])


def _contents(node: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """The path of each setting that names a local file or folder, and the hash of its contents."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name not in NOT_READ:
                yield from _contents(value, f"{at}.{name}".lstrip("."))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _contents(value, f"{at}[{index}]")
    elif isinstance(node, str) and (place := _place(node)) is not None:
        yield at, _hash_of_file(place) if place.is_file() else _hash_of_folder(place)


def _place(text: str) -> Path | None:
    if len(text) > LONGEST_PATH or "\n" in text or "\0" in text or not text.strip("./ "):
        return None
    try:
        place = local_path(text)
        return place if place.exists() else None
    except OSError:  # longer than the disk allows
        return None


def _hash_of_folder(folder: Path) -> str:
    """The hash of an artifact's recorded hashes where the folder is or holds one, else of all files of the folder."""
    for place in (folder / "artifact", folder):
        files = read_json(place / artifact_manifest.MANIFEST).get("files")
        if isinstance(files, dict):
            return _hash({name: digest for name, digest in files.items() if name != artifact_manifest.CARD})
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return _hash({path.relative_to(folder).as_posix(): _hash_of_file(path) for path in files})


def _hash_of_file(path: Path) -> str:
    from luthier.fetch.digests import sha256_of_file

    return sha256_of_file(path)


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
