"""Where each value of a composition was said: in which line of which file, on the command line, or nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from luthier import command_line

if TYPE_CHECKING:
    from luthier.catalog import Catalog
    from luthier.gate import Gate

COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Origin:
    """A file and its line, counted from 1, or the word of the command line."""

    file: Path | None
    line: int = 0
    word: str = ""

    def __str__(self) -> str:
        return f"{shown(self.file)}:{self.line}" if self.file else f"{COMMAND_LINE}: {self.word}"


class Origins:
    """Read from the files that Hydra composed, in its order: what is said last, counts."""

    def __init__(self, gate: Gate, catalog: Catalog, root: str, overrides: Sequence[str]) -> None:
        from hydra.types import RunMode

        self._of: dict[str, Origin] = {}
        for default in gate.compute_defaults_list(root, list(overrides), RunMode.RUN).defaults:
            question, _, name = str(default.config_path).rpartition("/")
            answer = catalog.answers.get((question or ".", name))
            if answer is not None:
                self._of.update(_said(answer.file, default.package or ""))
        for word in command_line.read(overrides):
            if word.key not in catalog.questions():
                self._of[word.path] = Origin(None, word=word.text)

    def find(self, path: str) -> Origin | None:
        """Who said the value at the path, or the nearest mapping around it; None where nobody did."""
        while path:
            if path in self._of:
                return self._of[path]
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return None

    def exactly(self, path: str) -> Origin | None:
        """Who said the value at exactly this path, or all of the value around it on the command line."""
        origin = self._of.get(path)
        around = self.find(path)
        return origin or (around if around is not None and around.file is None else None)


def _said(file: Path, package: str) -> Iterator[tuple[str, Origin]]:
    root = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    if isinstance(root, yaml.MappingNode):
        yield from _entries(root, file, package)


def _entries(node: yaml.Node, file: Path, path: str) -> Iterator[tuple[str, Origin]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = f"{path}.{key.value}".lstrip(".")
            if key.value != "defaults":
                yield here, Origin(file, key.start_mark.line + 1)
                yield from _entries(value, file, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield f"{path}[{index}]", Origin(file, value.start_mark.line + 1)
            yield from _entries(value, file, f"{path}[{index}]")


def shown(file: Path | None) -> str:
    """The file as short as it can be said from the working folder."""
    if file is None:
        return ""
    try:
        return str(file.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(file)
