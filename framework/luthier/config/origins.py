"""Where each value of a composition is set: the line of a file, the command line, or nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from luthier.config import command_line

if TYPE_CHECKING:
    from luthier.config.catalog import Catalog, CatalogAnswer
    from luthier.config.loader import GuardedConfigLoader

COMMAND_LINE, RECIPE, OPTION_FILE = "command line", "recipe", "option file"


@dataclass(frozen=True, slots=True)
class Origin:
    """A file and its line, counted from 1, or the word of the command line."""

    answer: CatalogAnswer | None
    line: int = 0
    word: str = ""

    def __str__(self) -> str:
        return f"{self.answer.shown}:{self.line}" if self.answer else f"{COMMAND_LINE}: {self.word}"

    @property
    def by(self) -> str:
        """What set it: the command line, a recipe (or a preset such as debug), or an option file."""
        if self.answer is None:
            return COMMAND_LINE
        return RECIPE if self.answer.question in {"recipe", "debug"} else OPTION_FILE


class Origins:
    """Read from the files that Hydra composed, in its order: the last one counts."""

    def __init__(
        self, config_loader: GuardedConfigLoader, catalog: Catalog, root: str, overrides: Sequence[str]
    ) -> None:
        from hydra.types import RunMode

        self._of: dict[str, Origin] = {}
        self._answers: dict[tuple[str, str], Origin] = {}
        for default in config_loader.compute_defaults_list(root, list(overrides), RunMode.RUN).defaults:
            question, _, name = str(default.config_path).rpartition("/")
            answer = catalog.answers.get((question or ".", name))
            if answer is not None:
                self._of.update(_settings(answer, default.package or ""))
                self._answers.update(_answered(answer, "" if question == "." else question))
        for word in command_line.read(overrides):
            if word.key not in catalog.questions():
                self._of[word.path] = Origin(None, word=word.text)
            elif word.values:
                question = f"{word.key}@{word.package}" if word.package else word.key
                self._answers[question, word.values[0]] = Origin(None, word=word.text)

    def of_answer(self, question: str, answer: str) -> Origin | None:
        """The origin of this answer to the question."""
        return self._answers.get((question, answer))

    def find(self, path: str) -> Origin | None:
        """The origin of the value at the path, or of the nearest mapping around it; None where neither is set."""
        while path:
            if path in self._of:
                return self._of[path]
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return None

    def exactly(self, path: str) -> Origin | None:
        """The origin of the value at exactly this path, or of the whole value around it on the command line."""
        origin = self._of.get(path)
        around = self.find(path)
        return origin or (around if around is not None and around.answer is None else None)


def _settings(answer: CatalogAnswer, package: str) -> Iterator[tuple[str, Origin]]:
    root = answer.tree
    if isinstance(root, yaml.MappingNode):
        yield from _entries(root, answer, package)


def _answered(answer: CatalogAnswer, group: str) -> Iterator[tuple[tuple[str, str], Origin]]:
    """(question, answer) -> the line of the defaults list that gives it."""
    root = answer.tree
    top = {key.value: value for key, value in root.value} if isinstance(root, yaml.MappingNode) else {}
    for entry in top["defaults"].value if "defaults" in top else []:
        for key, value in entry.value if isinstance(entry, yaml.MappingNode) else ():
            words = str(key.value).split()[-1]
            question = words[1:] if words.startswith("/") else f"{group}/{words}".lstrip("/")
            yield (question, str(value.value)), Origin(answer, key.start_mark.line + 1)


def _entries(node: yaml.Node, answer: CatalogAnswer, path: str) -> Iterator[tuple[str, Origin]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = f"{path}.{key.value}".lstrip(".")
            if key.value != "defaults":
                yield here, Origin(answer, key.start_mark.line + 1)
                yield from _entries(value, answer, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield f"{path}[{index}]", Origin(answer, value.start_mark.line + 1)
            yield from _entries(value, answer, f"{path}[{index}]")
