"""The folder of option files that a plugin brings, and the targets that such files name."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

from luthier.errors import PluginError

_TARGET = re.compile(r"^[^#\n]*?\b_target_:\s*['\"]?([\w.]+)", re.MULTILINE)


def beside(module: ModuleType) -> str:
    """The search path of the package `recipes` inside a plugin's own package; empty where there is none."""
    folders = [Path(folder, "recipes", "__init__.py") for folder in getattr(module, "__path__", ())]
    return f"pkg://{module.__name__}.recipes" if any(file.is_file() for file in folders) else ""


def folder_at(place: str) -> Path:
    """The folder of a search path such as `pkg://mine.options`; PluginError where that is no package."""
    package = place.removeprefix("pkg://")
    try:
        module = importlib.import_module(package)
        return Path(next(iter(module.__path__)))
    except (ImportError, AttributeError, StopIteration, ValueError) as error:
        raise PluginError(
            f"It names {place!r} as its recipe folder, but that is not a package: {error}.",
            hint="Put an __init__.py into the folder and include it in the distribution.",
        ) from error


def targets_of(file: Path) -> list[str]:
    """What an option file names as targets; none where it cannot be read."""
    return _TARGET.findall(file.read_bytes().decode(errors="replace"))
