"""The formats of plugins, which are detected as luthier's own are."""

from __future__ import annotations

import logging
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from luthier.plugins.registry import loaded_recipe_folders

if TYPE_CHECKING:
    from luthier.data.formats.format import Format

log = logging.getLogger(__name__)


class DetectedFormat:
    """A format of a plugin that has a fault where it looks at a row: the row is not of that format, said once."""

    def __init__(self, wrapped: Format, file: Path) -> None:
        self.wrapped, self._file, self._failed = wrapped, file, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)

    def recognises(self, row: dict[str, Any]) -> str:
        """As the format says; empty where it raises."""
        try:
            return self.wrapped.recognises(row)
        except Exception as error:
            if not self._failed:
                self._failed = True
                log.warning(_fault(self._file, "is not detected, as it fails in `recognises`", error))
            return ""


def formats_of_plugins() -> list[DetectedFormat]:
    """Those of the plugins that were loaded in this process, each with the settings of its option file.

    A format that must be told something, or that asks a question of its own, is not detected.
    """
    files = [file for folder in loaded_recipe_folders() for file in sorted(folder.glob("data/format/*.yaml"))]
    return [found for file in files if (found := _built(file)) is not None]


@cache
def _built(file: Path) -> DetectedFormat | None:
    try:
        settings = yaml.safe_load(file.read_text(encoding="utf-8"))
        if "defaults" in settings or "???" in settings.values():
            return None
        module, _, name = str(settings.pop("_target_")).rpartition(".")
        made = getattr(import_module(module), name)(**settings)
        return DetectedFormat(made, file) if made.name and made.expects else None
    except Exception as error:
        log.warning(_fault(file, "is not detected, as it cannot be made", error))
        return None


def _fault(file: Path, what: str, error: Exception) -> str:
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    return f"The format data/format={file.stem} ({file}) {what}: {said}."
