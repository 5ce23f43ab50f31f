"""The argument of a verb."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from luthier.cli import session

if TYPE_CHECKING:
    from luthier.config.catalog import Catalog
    from luthier.config.compose import Composer
    from luthier.plugins.registry import Plugins
    from luthier.reporting.console import Console


@dataclass(frozen=True, slots=True)
class Call:
    """What a verb receives: its parsed arguments, the console, the plugins and luthier's own flags."""

    arguments: argparse.Namespace
    """The parsed arguments, as the verb's parser declares them."""
    console: Console
    """Where the verb writes results and notes; `--json` changes the form."""
    plugins: Plugins
    """The installed plugins that could be imported."""
    flags: session.Flags
    """luthier's own flags of this command line, such as `--trust` and `-p`."""

    def catalog(self, config_dir: str | None = None) -> Catalog:
        """The answers that can be given in this working folder."""
        return session.catalog(self.plugins, config_dir)

    def composer(self, config_dir: str | None = None) -> Composer:
        """What composes a recipe in this working folder."""
        return session.composer(self.flags, self.console, config_dir=config_dir, plugins=self.plugins)
