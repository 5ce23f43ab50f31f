"""The tiny twin of a recipe in this process: what `debug=tiny` runs, as an object to look into."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from luthier.assemble import assemble
from luthier.composing.catalog import Catalog
from luthier.composing.compose import Composer
from luthier.console import Console
from luthier.plugins import Plugins
from luthier.run import Run
from luthier.runs.folder import RunFolder


def twin(folder: Path, *words: str) -> Run:
    """The run of `debug=tiny` and further words of a command line, assembled and not yet carried out."""
    composition = composer().compose(["debug=tiny", *words, f"hydra.run.dir={folder}"])
    place = RunFolder(folder)
    place.create()
    return assemble(composition, place, composer().plugins, Console())


@cache
def composer() -> Composer:
    """All installed plugins and their answers."""
    plugins = Plugins.from_flags([])
    return Composer(plugins, Catalog.of(plugins))
