"""The answer that a class or function is: the option file of a plugin, or of this folder, that names it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from luthier.plugins.installed import CORE, installed
from luthier.plugins.recipe_folder import beside, folder_at, targets_of

_MOST = 2  # answers of one class that are named


def answer_of(part: Any) -> str:
    """`question=answer` of the option file that names a part, of several "one or the other"; empty without one.

    `part` is a class, which may inherit what the file names, a function, or the name of a module, whose code belongs
    to no answer in particular where it holds more than two of them. A file that names the class itself comes before one
    that names what it inherits.
    """
    if isinstance(part, str):
        inside = [answer for answer, target in _named() if target.rpartition(".")[0] == part]
        return " or ".join(inside) if len(inside) <= _MOST else ""
    kinds = [one for one in part.__mro__ if one is not object] if isinstance(part, type) else [part]
    found = [(answer, made) for answer, target in _named() if (made := _loaded(target)) is not None]
    for kind in kinds:
        if answers := [answer for answer, made in found if _function_of(made) is kind]:
            return " or ".join(answers[:_MOST])
    return ""


def _function_of(made: Any) -> Any:
    """What is written for something that an option file names: of a partial its function."""
    while hasattr(made, "func") and hasattr(made, "keywords"):
        made = made.func
    return inspect.unwrap(made)


def _named() -> Iterator[tuple[str, str]]:
    """The answers of plugins that are not luthier's and are imported, and of this folder, with what each names."""
    for folder in [*_folders(), Path("recipes")]:
        for file in sorted(folder.rglob("*.yaml")) if folder.is_dir() else ():
            question = file.parent.relative_to(folder).as_posix()
            if question not in {".", "recipe", "pipeline"}:
                yield from ((f"{question}={file.stem}", target) for target in targets_of(file)[:1])


def _folders() -> Iterator[Path]:
    shipped = {one.module for one in installed() if one.distribution is not None and one.distribution.name == CORE}
    for name, module in list(sys.modules.items()):
        if name in shipped or name.partition(".")[0] == CORE:
            continue
        hook = vars(module).get("luthier_recipes") if hasattr(module, "__dict__") else None
        try:
            place = str(hook()) if hook is not None else beside(module)
            if place and (hook is not None or name.count(".") == 0):
                yield folder_at(place)
        except Exception:  # noqa: S112 - it is told where the plugin is loaded
            continue


def _loaded(target: str) -> Any:
    """What a dotted name names, where its module is imported."""
    words = target.split(".")
    for split in range(len(words) - 1, 0, -1):
        if (found := sys.modules.get(".".join(words[:split]))) is not None:
            for word in words[split:]:
                found = inspect.getattr_static(found, word, None)
            return found
    return None
