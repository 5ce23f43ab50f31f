"""What a model folder may contain: weights as safetensors, and no code unless the user trusts it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any

from luthier.errors import Refused, ResourceError

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".h5", ".msgpack")
INDEX = "model.safetensors.index.json"


def refuse_pickles(names: Iterable[str], *, owner: str) -> None:
    """Refused if a model has no weights but such as run code while they load; ResourceError if it has none at all."""
    files = list(names)
    if any(file.endswith(".safetensors") for file in files):
        return
    pickled = [file for file in files if file.endswith(PICKLES)]
    if pickled:
        raise Refused(
            f"{owner} carries its weights as {pickled[0]}, which can run code while it loads.",
            hint="Convert them to safetensors where you trust them, or choose a revision that has safetensors.",
        )
    raise ResourceError(f"{owner} holds no weights: there is no .safetensors file.", hint="Is the path right?")


def refuse_devices(folder: Path, *, owner: str) -> None:
    """Refused if something in a model's folder is neither a file nor a folder: reading a pipe may never end."""
    for path in sorted(folder.iterdir()):
        if path.exists() and not path.is_file() and not path.is_dir():
            raise Refused(f"{path.name} of {owner} is a device or a pipe.", where=str(path), hint="Copy plain files.")


def refuse_code(folder: Path, *, owner: str, trusted: bool = False) -> None:
    """Refused if a configuration names Python code to load with the model, at any depth.

    `trusted` comes from the command line alone, for one model at one pinned revision.
    """
    for file in sorted(folder.glob("*.json")):
        if file.name.endswith("config.json") and not trusted and (key := names_code(read_json(file))):
            known = owner if Path(owner) == folder else f"{owner}@<commit>"  # a folder has no commit to pin
            hint = f"Read that code; then vouch for it with --trust {known}."
            raise Refused(f"{owner} brings code of its own: {file.name} has {key!r}.", where=str(file), hint=hint)


def names_code(configuration: Any) -> str:
    """The key with which a configuration names Python code to load with the model, at any depth; empty without one."""
    return next((key for key, value in _walk(configuration) if _names_code(key, value)), "")


def weight_files(folder: Path, *, owner: str) -> list[Path]:
    """The files of weights in a folder; Refused if the index leads out of it, ResourceError if one is missing."""
    index = folder / INDEX
    if not index.is_file():
        return sorted(folder.glob("*.safetensors"))
    stated = read_json(index)
    named = stated.get("weight_map") if isinstance(stated, dict) else None
    if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
        raise ResourceError(
            f"The index of {owner} does not say in which file each weight is.",
            where=str(index),
            hint="Fetch the model again.",
        )
    names = sorted(set(named.values()))
    for name in names:
        if PurePath(name).name != name or not name.endswith(".safetensors"):
            raise Refused(f"The index of {owner} names {name!r}, which is not a safetensors file beside it.")
        if not (folder / name).is_file():
            raise ResourceError(f"{owner} lacks {name}, which its index names.", hint="Fetch the model again.")
    return [folder / name for name in names]


def _names_code(key: str, value: Any) -> bool:
    if key in {"auto_map", "custom_pipelines"}:
        return bool(value)
    if key == "trust_remote_code":
        return value is not False
    return key.endswith("attn_implementation") and "/" in str(value)  # a kernel fetched from a hub


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from _walk(inner)


def read_json(file: Path) -> Any:
    """What a JSON file holds; ResourceError where it is not readable JSON."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ResourceError(f"{file.name} is not readable JSON: {error}", where=str(file)) from error
