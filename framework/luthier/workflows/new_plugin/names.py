"""The names of a new plugin: of its distribution, its package and its answers; each free to be used."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.config.command_line import reads_as_text
from luthier.errors import RecipeError
from luthier.plugins.source_code import spec

if TYPE_CHECKING:
    from luthier.config.catalog import Catalog
    from luthier.plugins.registry import Plugins
    from luthier.workflows.new_plugin.kinds import Kind

TESTS = "tests"
"""The folder of a new plugin in which its tests lie, which pytest puts where Python looks for modules."""
_DISTRIBUTION = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Names:
    """`acme-luthier` has the package `acme_luthier`, and its answers are called `acme`."""

    distribution: str
    package: str
    answer: str

    @classmethod
    def of(cls, distribution: str) -> Names:
        """RecipeError for a name that no distribution or no package can have."""
        if not _DISTRIBUTION.fullmatch(distribution):
            raise RecipeError(
                f"{distribution!r} is not the name of a distribution.",
                where="NAME",
                hint="Use letters, digits, '-', '_' and '.', with a letter or digit at both ends.",
            )
        package = re.sub(r"[-_.]+", "_", distribution).lower()
        if not package.isidentifier() or keyword.iskeyword(package):
            raise RecipeError(
                f"Python cannot import a package {package!r}, as that of {distribution!r} would be called.",
                where="NAME",
                hint="Begin with a letter, and use no word of Python.",
            )
        answer = "_".join(word for word in package.split("_") if word != "luthier") or package
        if not reads_as_text(answer):
            raise RecipeError(
                f"An answer {answer!r}, as those of {distribution!r} would be called, cannot be chosen: the command "
                "line and recipes read it as another value.",
                where="NAME",
                hint="Choose a word that is no number, no truth value and not null.",
            )
        return cls(distribution, package, answer)

    def refuse_taken(self, kinds: Iterable[Kind], plugins: Plugins, catalog: Catalog) -> None:
        """RecipeError where a folder, a module, a distribution, a plugin or an answer is called so already."""
        if Path(self.distribution).exists():
            raise RecipeError(f"{self.distribution} is there already.", where="NAME", hint="Choose another name.")
        installed = {re.sub(r"[-_.]+", "_", one.name).lower(): one for one in metadata.distributions() if one.name}
        if (other := installed.get(self.package)) is not None:
            raise self._taken(f"a distribution {other.name} {other.version} is installed")
        if self.package == TESTS:
            raise self._taken(f"its own tests lie in a folder {TESTS}")
        if self.package in sys.stdlib_module_names or spec(self.package) is not None:
            raise self._taken(f"Python imports another module as {self.package!r} here")
        if any(plugin.name == self.answer for plugin in plugins.known):
            raise self._taken(f"{plugins.describe(self.answer)} is a plugin called {self.answer!r}")
        for kind in kinds:
            for answer in catalog.givers(kind.question, self.answer) if kind.question else ():
                raise self._taken(f"{answer} is an answer of {answer.origin}")

    def _taken(self, why: str) -> RecipeError:
        return RecipeError(f"{self.distribution!r} is taken: {why}.", where="NAME", hint="Choose another name.")
