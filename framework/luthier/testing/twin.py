"""The tiny twin of a recipe in this process: what `debug=tiny` runs, as an object to look into."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from luthier.config.catalog import Catalog
from luthier.config.compose import Composer
from luthier.plugins.registry import Plugins
from luthier.records.folder import RunFolder
from luthier.reporting.console import Console
from luthier.workflows.job import run_of
from luthier.workflows.run import Run


def twin(folder: Path, *words: str) -> Run:
    """The run of `debug=tiny` and further words of a command line, assembled and not yet carried out."""
    composition = composer().compose(["debug=tiny", *words, f"hydra.run.dir={folder}"])
    place = RunFolder(folder)
    place.create()
    return run_of(composition, place, composer().plugins, Console())


@cache
def composer() -> Composer:
    """All installed plugins and their answers."""
    plugins = Plugins.from_flags([])
    return Composer(plugins, Catalog.of(plugins))
