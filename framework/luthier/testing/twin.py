"""The tiny twin of a recipe in this process: what `debug=tiny` runs, as an object to look into."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from luthier.cli.garbage import collect_seldom
from luthier.config.catalog import Catalog
from luthier.config.compose import Composer
from luthier.plugins.registry import Plugins
from luthier.records.folder import RunFolder
from luthier.reporting.console import Console
from luthier.workflows.job import run_of
from luthier.workflows.run import Run


def twin(folder: Path, *words: str, plugins: tuple[str, ...] = ()) -> Run:
    """The run of `debug=tiny` and further words of a command line, assembled and not yet carried out.

    `plugins` are modules beside the installed ones, as `luthier -p` takes them. Python's collector of garbage is told
    what the command line tells it.
    """
    collect_seldom()
    composing = composer(*plugins)
    composition = composing.compose(["debug=tiny", *words, f"hydra.run.dir={folder}"])
    place = RunFolder(folder)
    place.create()
    return run_of(composition, place, composing.plugins, Console())


@cache
def composer(*plugins: str) -> Composer:
    """All installed plugins and these modules, and their answers."""
    loaded = Plugins.from_flags(plugins)
    return Composer(loaded, Catalog.of(loaded))
