"""Old names of settings in a composition, replaced by those of now where the part that had them stands there.

What a recipe calls its own, such as a metric in a mapping, keeps its name: a setting is renamed by the `_target_`
around it, the entry of a mapping by the `_target_` in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from luthier.plugins.renamed import current_target, note, table

_SEPARATORS = re.compile(r"([.\[\]]+)")
_REFERENCE = re.compile(r"(?<!\\)\$\{(?P<dots>\.*)(?P<path>[\w.\[\]-]+)\}")
_METRICS = "evaluation.task.metrics"


def rename_in(config: DictConfig) -> tuple[dict[str, Any], list[str]]:
    """Rename in what Hydra composed, before anything of it is resolved.

    Its plain content, unresolved, and a sentence for each old name.
    """
    plain: Any = OmegaConf.to_container(config, resolve=False)
    hydra = plain.pop("hydra", {})
    current, notes = current_config(plain)
    with read_write(config), open_dict(config):
        for key in plain:
            if current[key] != plain[key]:
                config[key] = current[key]
        for path, text in _strings(hydra, "hydra"):
            if (new := _reference(text, path, current, notes)) != text:
                OmegaConf.update(config, path, new)
    return {**current, "hydra": hydra}, notes


def current_config(config: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """An unresolved configuration under the names of now, and a sentence for each old one."""
    notes: list[str] = []
    current = _renamed(config, "", notes)
    score = current.get("score")
    if isinstance(score, str):  # the name of a metric
        current["score"] = current_path(f"{_METRICS}.{score}", current).removeprefix(f"{_METRICS}.")
        if current["score"] != score:
            notes.append(note(f"score={score}", f"score={current['score']}"))
    return _with_current_references(current, "", current, notes), list(dict.fromkeys(notes))


def current_path(path: str, config: Any, *, adds: bool = False) -> str:
    """The path of a setting as it is called now in a configuration; `adds` where its end is an entry to be added."""
    words = _SEPARATORS.split(path)
    for place in range(0, len(words), 2):
        words[place] = _current_key(words[place], config, entries=not adds or place < len(words) - 1)
        config = _child(config, words[place])
    return "".join(words)


def _current_key(key: str, node: Any, *, entries: bool) -> str:
    if not isinstance(node, dict) or key in node:
        return key
    for target, names in table()["entries"].items() if entries else ():
        if _target(node.get(names.get(key))) == target:
            return str(names[key])
    return str(table()["settings"].get(_target(node), {}).get(key, key))


def _renamed(node: Any, path: str, notes: list[str]) -> Any:
    if isinstance(node, list):
        return [_renamed(one, f"{path}[{index}]", notes) for index, one in enumerate(node)]
    if not isinstance(node, dict):
        return node
    found: dict[Any, Any] = {}
    settings = table()["settings"].get(_target(node), {})
    for key, value in node.items():
        here = f"{path}.{key}".lstrip(".")
        new = _renamed(value, here, notes)
        if key == "_target_" and isinstance(value, str) and (new := current_target(value)) != value:
            notes.append(note(value, new))
        name = settings.get(key) or _entry(key, value, node)
        if name != key:
            notes.append(note(here, f"{path}.{name}".lstrip(".")))
        if isinstance(found.get(name), dict) and isinstance(new, dict):
            found[name] = found[name] | new
        elif found.get(name) is None:  # an old and a new name: the one that says something
            found[name] = new
    return found


def _entry(key: Any, value: Any, node: Mapping[Any, Any]) -> Any:
    """The key of an entry as it is now: of the part that had it, or of settings to be merged into that part."""
    for target, names in table()["entries"].items() if isinstance(value, dict) else ():
        new = names.get(key)
        if new in node:
            return new if "_target_" not in value and _target(node[new]) == target else key
        if new is not None and _target(value) == target:
            return new
    return key


def _child(node: Any, key: str) -> Any:
    if isinstance(node, list):
        return node[int(key)] if key.isdecimal() and int(key) < len(node) else None
    return node.get(key) if isinstance(node, dict) else None


def _target(node: Any) -> str:
    return current_target(str(node.get("_target_"))) if isinstance(node, dict) else ""


def _with_current_references(node: Any, path: str, config: Any, notes: list[str]) -> Any:
    if isinstance(node, dict):
        return {key: _with_current_references(value, f"{path}.{key}", config, notes) for key, value in node.items()}
    if isinstance(node, list):
        return [_with_current_references(one, f"{path}.{index}", config, notes) for index, one in enumerate(node)]
    return _reference(node, path, config, notes) if isinstance(node, str) else node


def _reference(text: str, path: str, config: Any, notes: list[str]) -> str:
    """The text with `${…}` under the names of now; `path` is where it stands, for references that begin with dots."""

    def current(found: re.Match[str]) -> str:
        dots, reference = found["dots"], found["path"]
        around = path.strip(".").split(".")[: -len(dots)] if dots else []
        before = "".join(f"{word}." for word in around)
        new = f"${{{dots}{current_path(before + reference, config).removeprefix(before)}}}"
        if new != found[0]:
            notes.append(note(found[0], new))
        return new

    return _REFERENCE.sub(current, text)


def _strings(node: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _strings(value, f"{path}.{key}")
    elif isinstance(node, str) and "${" in node:
        yield path, node
