"""Which run `resume=auto` means: the newest one of the same recipe that did not finish."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from luthier.config.fingerprint import recipe_hash
from luthier.disk.reading import read_json
from luthier.records.folder import RunFolder


def newest(runs: Path, hashes: Collection[str]) -> str | None:
    """The name of the youngest run in `runs` with one of these hashes and no whole record; None without one."""
    folders = [RunFolder(path) for path in runs.iterdir() if path.is_dir()] if runs.is_dir() else []
    started = sorted((folder for folder in folders if folder.resolved.is_file()), key=_age, reverse=True)
    unfinished = (folder for folder in started if not read_json(folder.record))
    return next((folder.path.name for folder in unfinished if recipe_hash(folder.read_resolved()) in hashes), None)


def _age(folder: RunFolder) -> float:
    return folder.resolved.stat().st_mtime
