"""The catalog of answers: the option files of the core, of the plugins and of the working folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import LuthierError, PluginError, RecipeError
from luthier.plugins.recipe_folder import targets_of
from luthier.plugins.registry import Plugins

if TYPE_CHECKING:
    import yaml

USER = "this folder"
NO_PARTS = {".", "recipe", "pipeline", "debug", "advice"}
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
_NOT_WORDS = ("@package", "yaml-language-server")


@dataclass(frozen=True, slots=True)
class CatalogAnswer:
    """One option file: `question` is its Hydra group (`method/objective`), `owner` the plugin that ships it.

    `origin` is the plugin with its distribution and version, `place` the search path of the folder that holds the file.
    """

    question: str
    name: str
    file: Path
    owner: str

    place: str = ""
    origin: str = ""

    def __str__(self) -> str:
        return f"{self.question}={self.name}"

    @property
    def qualified(self) -> str:
        """Its name where others give the same answer."""
        return f"{'own' if self.owner == USER else self.owner}.{self.file.stem}"

    @property
    def shown(self) -> str:
        """Its file, relative to the working folder or to the package that ships it."""
        if self.place.startswith("pkg://"):
            inside = "" if self.question == "." else f"{self.question}/"
            return f"{self.place.removeprefix('pkg://').replace('.', '/')}/{inside}{self.file.name}"
        return os.path.relpath(self.file) if self.file.is_relative_to(Path.cwd()) else str(self.file)

    @property
    def is_part(self) -> bool:
        """Whether it is a part of a recipe, as recipes, pipelines, presets and advice are not."""
        return self.question not in NO_PARTS

    @property
    def text(self) -> str:
        """What its file says; an error of who ships it, where that is no UTF-8."""
        try:
            return self.file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise self.fault(f"is not UTF-8: {error.reason} at byte {error.start}") from error

    def fault(self, what: str) -> LuthierError:
        """The error that its file is not as it should be: RecipeError of a user's own, PluginError of a plugin's."""
        message = f"The option file of {self}, {'yours' if self.owner == USER else f'of {self.origin}'}, {what}."
        return (RecipeError if self.owner == USER else PluginError)(message, where=str(self.file))

    def not_yaml(self, error: yaml.YAMLError) -> LuthierError:
        """The error that its file is no YAML, with the line."""
        from luthier.config.bounds import unreadable

        told = unreadable(error, self.file)
        fault = self.fault(told.message.removeprefix("This ").rstrip("."))
        fault.where = told.where
        return fault

    def refuse_target(self, target: Any) -> None:
        """The fault of its file that what it names as `_target_` is no dotted name."""
        if not isinstance(target, str) or not _DOTTED.fullmatch(target):
            raise self.fault(
                f"has the _target_ {target!r}, which is no dotted name of a class or function, such as "
                "package.module.Class"
            )

    @property
    def tree(self) -> yaml.Node | None:
        """The syntax tree of its YAML, None for a file without any."""
        import yaml  # help lists answers without it

        from luthier.config.bounds import LOADER

        try:
            tree: yaml.Node | None = yaml.compose(self.text, Loader=LOADER)
        except yaml.YAMLError as error:
            raise self.not_yaml(error) from error
        return tree

    @property
    def headline(self) -> str:
        """The first comment of its file, other than `# @package`."""
        return self._first_comment.partition("   ")[0].rstrip()

    @property
    def how_to_run(self) -> str:
        """The command that its file gives, or the shortest one for a recipe or pipeline."""
        return self.command or (f"luthier {self}" if self.question in {"recipe", "pipeline"} else "")

    @property
    def command(self) -> str:
        """The command that the first comment gives behind three spaces."""
        return self._first_comment.partition("   ")[2].strip()

    @property
    def _first_comment(self) -> str:
        with self.file.open(encoding="utf-8-sig", errors="replace") as file:
            lines = file.read(4096).splitlines()
        comments = (line.lstrip("# ").rstrip() for line in lines if line.startswith("#"))
        return next((comment for comment in comments if not comment.startswith(_NOT_WORDS)), "")

    @property
    def targets(self) -> list[str]:
        """What its file names as targets; none where it cannot be read, which is told where it is used."""
        return targets_of(self.file)


@dataclass
class Catalog:
    """The answers by question and name.

    An answer that two owners give is in `claimed`, and among the answers under its qualified names alone, `owner.name`:
    the short name is refused where it is used (exit 7), and stands in no list.
    """

    answers: dict[tuple[str, str], CatalogAnswer] = field(default_factory=dict)
    search_path: dict[str, str] = field(default_factory=dict)
    claimed: dict[tuple[str, str], list[CatalogAnswer]] = field(default_factory=dict)

    @classmethod
    def of(cls, plugins: Plugins, *user_folders: Path) -> Catalog:
        catalog = cls()
        origins = {plugin.name: str(plugin) for plugin in plugins.known}
        for owner, (place, folder) in plugins.recipe_folders().items():
            catalog._add(owner, place, folder, origins.get(owner, owner))
        for folder in user_folders:
            if folder.is_dir():
                catalog._add(USER, f"file://{folder.resolve()}", folder, USER)
        return catalog

    def _add(self, owner: str, place: str, folder: Path, origin: str) -> None:
        self.search_path[place] = owner
        for file in sorted(folder.rglob("*.yaml")):
            question = file.parent.relative_to(folder).as_posix()
            answer = CatalogAnswer(question, file.stem, file, owner, place, origin)
            claims = self.claimed.get((question, file.stem), [])
            twin = claims[0] if claims else self.answers.setdefault((question, file.stem), answer)
            if twin is not answer and question != ".":
                self.answers.pop((question, file.stem), None)
                self.claimed[question, file.stem] = [*(claims or [twin]), answer]
                for one in self.claimed[question, file.stem]:
                    self.answers[question, one.qualified] = replace(one, name=one.qualified)

    def refuse_claimed(self, question: str, name: str) -> None:
        """PluginError (7) for an answer that several give; each has a qualified name."""
        if claims := self.claimed.get((question, name)):
            givers = " and ".join(f"{one.origin} ({one.file})" for one in claims)
            choices = " or ".join(f"{question}={one.qualified}" for one in claims)
            raise PluginError(f"Both {givers} answer {question}={name}.", hint=f"Choose one with {choices}.")

    def givers(self, question: str, name: str) -> list[CatalogAnswer]:
        """The answers of a name: several where it is claimed, none where nobody gives it."""
        single = self.answers.get((question, name))
        return self.claimed.get((question, name), [] if single is None else [single])

    def __iter__(self) -> Iterator[CatalogAnswer]:
        return iter(self.answers.values())

    def questions(self) -> list[str]:
        return sorted({question for question, _ in self.answers if question != "."})

    def names(self, question: str) -> list[str]:
        return sorted(name for other, name in self.answers if other == question)

    def misnamed(self, question: str, name: str) -> str:
        """The file of an own answer that ends in .yml, which is not read; empty where there is none."""
        folders = [place.removeprefix("file://") for place, owner in self.search_path.items() if owner == USER]
        files = [Path(folder, question, f"{name}.yml") for folder in folders]
        return next((os.path.relpath(file) for file in files if file.is_file()), "")

    def installed_targets(self) -> set[str]:
        """Exactly the callables that option files of installed packages name."""
        return {target for answer in self if answer.owner != USER for target in answer.targets}
