"""Where the files lie that the recipe of an artifact names, seen from wherever the artifact lies now.

A path in a recipe is relative to the folder in which the run was started. The manifest keeps the way there from the
artifact, so that the two may move together. Where a file lay on this machine is kept in this machine's cache, by the
hash of the artifact, so that an artifact that moves by itself finds it here, and tells nobody else about this machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from luthier.config.stored import escaped
from luthier.disk.reading import read_json
from luthier.errors import RecipeError
from luthier.fetch.cache import cache_folder
from luthier.fetch.notes import read_note, write_note
from luthier.fetch.paths import local_path
from luthier.workflows import artifact_manifest

_PATHS = re.compile(r"(^|.*_)(path|file|folder|dir|directory|run)$")
_OF_PATHS = ("runs",)
"""Settings whose every value is a path."""
_TEMPLATE = "chat_template"
LONGEST = 1024


def places(recipe: Any, artifact: Path) -> dict[str, dict[str, str]]:
    """The files and folders of a recipe that are here, by setting, also as seen from where the artifact will lie."""
    return {setting: _way(absolute, artifact) for setting, absolute in _here(recipe).items()}


def remember_places(recipe: Any, artifact: Path) -> None:
    """Keep in the cache where the files and folders of a recipe are; a cache that cannot be written keeps nothing."""
    if (here := _here(recipe)) and (note := _note(artifact)):
        with suppress(OSError):
            note.parent.mkdir(parents=True, exist_ok=True)
            write_note(note, {setting: {"absolute": absolute} for setting, absolute in here.items()})


def _remembered(artifact: Path) -> dict[str, Any]:
    return read_note(note) if (note := _note(artifact)) else {}


def _note(artifact: Path) -> Path | None:
    """The file of the cache for an artifact, named by the hash of what it holds; None where that cannot be read."""
    files = read_json(artifact / artifact_manifest.MANIFEST).get("files")
    if not isinstance(files, dict):
        return None
    held = {name: digest for name, digest in files.items() if name != artifact_manifest.CARD}
    return cache_folder("places") / f"{hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()}.json"


def _here(recipe: Any) -> dict[str, str]:
    """The absolute path of each file and folder of a recipe that is here, by setting."""
    named = _named(OmegaConf.to_container(recipe, resolve=True))
    return {setting: os.path.abspath(place) for setting, written in named if _exists(place := local_path(written))}


def _way(absolute: str, artifact: Path) -> dict[str, str]:
    try:
        return {"relative": os.path.relpath(absolute, os.path.realpath(artifact))}
    except ValueError:  # on another drive of Windows
        return {}


def with_places(recipe: DictConfig, known: Mapping[str, Mapping[str, str]], artifact: Path) -> DictConfig:
    """The recipe with the path of each file as it is found now; one that is not found stays an absolute path.

    A template of the model that is not here any more is left out: the artifact's tokenizer has it.
    """
    plain: Any = OmegaConf.to_container(recipe, resolve=True)
    known = with_remembered(known, artifact)
    for setting, written in list(_named(plain)):
        place = next(filter(_exists, _candidates(written, known.get(setting, {}), artifact)), None)
        last = setting.rpartition(".")[2]
        if place is not None:
            _set(plain, setting, str(place))
        elif last == _TEMPLATE and written.endswith(".jinja"):
            _set(plain, setting, None)
        elif setting in known:
            _set(plain, setting, str(next(_candidates(written, known[setting], artifact))))
    return DictConfig(escaped(plain))


def with_remembered(known: Mapping[str, Mapping[str, str]], artifact: Path) -> dict[str, Mapping[str, str]]:
    """The places of a manifest, each with where it was on this machine, where that is known."""
    here = _remembered(artifact)
    return {setting: {**here.get(setting, {}), **place} for setting, place in known.items()}


def refuse_without_base(recipe: DictConfig, written: Any, manifest: Mapping[str, Any], artifact: Path) -> None:
    """RecipeError where the model is a file or folder that is not here, with the places where it was looked for.

    `written` is the recipe before `with_places`.
    """
    before = OmegaConf.to_container(written, resolve=True)
    known = with_remembered(manifest.get("places", {}), artifact)
    values = dict(_named(before))
    for setting, now in _named(OmegaConf.to_container(recipe, resolve=True)):
        if setting.split(".")[0] != "model" or setting not in known or _exists(Path(now)):
            continue
        looked = list(dict.fromkeys(map(str, _candidates(values[setting], known[setting], artifact))))
        sha256 = str(manifest["model"].get("sha256") or "")
        weights = f" with weights of the sha256 {sha256[:12]}…" if sha256 else ""
        link = shlex.quote(str(_beside(values[setting], artifact)))
        raise RecipeError(
            f"The artifact needs {values[setting]} beside it ({setting}){weights}, and it is in none of "
            f"{', '.join(looked[:4])}.",
            where=str(artifact),
            hint=f"Put it there, or a link to where it is now: ln -s FOLDER {link}",
        )


def with_revisions(recipe: DictConfig, lineage: Mapping[str, Any]) -> DictConfig:
    """The recipe with each model of a hub at the commit that the run found, where the recipe names none."""
    plain: Any = OmegaConf.to_container(recipe, resolve=True)
    commits = dict(_commits(lineage))
    for node in _mappings(plain.get("model")):
        if "revision" in node and node["revision"] is None and node.get("id") in commits:
            node["revision"] = commits[node["id"]]
    return DictConfig(escaped(plain))


def _commits(lineage: Any) -> Iterator[tuple[str, str]]:
    for node in _mappings(lineage):
        if str(node.get("kind", "")).startswith("hub") and node.get("revision"):
            yield str(node["name"]), str(node["revision"])


def _mappings(node: Any) -> Iterator[Any]:
    if isinstance(node, Mapping):
        yield node
    for inner in node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ():
        yield from _mappings(inner)


def _named(node: Any, at: str = "", *, each: bool = False) -> Iterator[tuple[str, str]]:
    """The settings whose values are paths, and these."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, value in pairs:
        setting = f"{at}.{name}".lstrip(".")
        if "." in str(name):
            continue  # which a setting of a command line cannot name either
        if isinstance(value, dict | list):
            yield from _named(value, setting, each=name in _OF_PATHS)
        elif isinstance(value, str) and (each or _names_a_file(str(name), value)):
            yield setting, value


def _names_a_file(name: str, value: str) -> bool:
    if not 0 < len(value) < LONGEST or "\n" in value or "\0" in value:
        return False
    return bool(_PATHS.match(name)) or (name == _TEMPLATE and value.endswith(".jinja"))


def _candidates(written: str, known: Mapping[str, str], artifact: Path) -> Iterator[Path]:
    """Where a path may be: as it was, seen from the artifact, then where it was, then from here or a folder above."""
    real = Path(os.path.realpath(artifact))
    place = local_path(written)
    if place.is_absolute():
        yield place
    if "relative" in known:
        yield Path(os.path.normpath(real / known["relative"]))
    if "absolute" in known:
        yield Path(known["absolute"])
    if not place.is_absolute():
        yield Path.cwd() / place
        yield from (above / place for above in real.parents)
    yield _beside(written, artifact)


def _beside(written: str, artifact: Path) -> Path:
    """A place in the folder that holds the artifact."""
    return Path(os.path.realpath(artifact)).parent / local_path(written).name


def _exists(place: Path) -> bool:
    try:
        return place.exists()
    except OSError:  # longer than the disk allows
        return False


def _set(node: Any, setting: str, value: Any) -> None:
    *before, last = setting.split(".")
    for name in before:
        node = node[int(name) if isinstance(node, list) else name]
    node[int(last) if isinstance(node, list) else last] = value
