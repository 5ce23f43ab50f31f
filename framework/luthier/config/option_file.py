"""The content of an option file: its target, its settings with their comments, its nested questions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor

from luthier.config.catalog import Catalog, CatalogAnswer


@dataclass(frozen=True, slots=True)
class WrittenSetting:
    """A setting as a file writes it: the value, and the comment behind it."""

    value: Any
    comment: str
    file: Path
    line: int


@dataclass(slots=True)
class Option:
    """An answer with all that its defaults list adds; `nested`: setting -> (question, answer) that fill it."""

    answer: CatalogAnswer
    target: str = ""
    headline: str = ""
    written: dict[str, WrittenSetting] = field(default_factory=dict)
    nested: dict[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, answer: CatalogAnswer, catalog: Catalog) -> Option:
        option = cls(answer)
        option._take(answer, catalog)
        return option

    @classmethod
    def inside(cls, answer: CatalogAnswer, key: str) -> Option:
        """The part that stands under a key of the file itself, as `batch` does in config.yaml."""
        text, root = answer.text, answer.tree
        assert root is not None
        node = next(value for name, value in root.value if name.value == key)
        option = cls(answer, headline=dict(entries(root, text, answer.file))[key].comment)
        option._keep(dict(entries(node, text, answer.file)))
        return option

    def _take(self, answer: CatalogAnswer, catalog: Catalog) -> None:
        text, root = answer.text, answer.tree
        written = dict(entries(root, text, answer.file)) if root is not None else {}
        defaults = written.pop("defaults", None)
        for entry in defaults.value if defaults else []:
            self._follow(entry, answer, catalog)
        self.headline = answer.headline
        self._keep(written)

    def _keep(self, written: dict[str, WrittenSetting]) -> None:
        target = written.pop("_target_", None)
        self.target = str(target.value) if target else self.target
        self.written.update({key: value for key, value in written.items() if not key.startswith("_")})

    def _follow(self, entry: Any, answer: CatalogAnswer, catalog: Catalog) -> None:
        """An entry of the defaults list: another answer to the same question to start from, or a nested question."""
        if isinstance(entry, str) and (other := catalog.answers.get((answer.question, entry))):
            self._take(other, catalog)
        for key, name in entry.items() if isinstance(entry, dict) else ():
            words, _, package = str(key).split()[-1].partition("@")
            absolute = words.startswith("/") or answer.question == "."
            question = words.lstrip("/") if absolute else f"{answer.question}/{words}"
            self.nested[package or words.rpartition("/")[2]] = (question, str(name))


def entries(root: yaml.Node, text: str, file: Path) -> Iterator[tuple[str, WrittenSetting]]:
    """The top-level settings of a YAML document with their comments and lines."""
    lines = text.splitlines()
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        line = lines[key.start_mark.line]
        end = value.end_mark.column if value.end_mark.line == key.start_mark.line else key.end_mark.column + 1
        comment = line[end:].partition("#")[2].strip()
        yield str(key.value), WrittenSetting(_plain(value), comment, file, key.start_mark.line + 1)


class _Values(SafeConstructor):
    """Reads values as OmegaConf does: a date is text, and 1e-4 is a number."""

    def text(self, node: yaml.ScalarNode) -> str | float:
        written = str(self.construct_scalar(node))
        return float(written) if not node.style and _NUMBER.fullmatch(written) else written


_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
_OWN: dict[str | None, Any] = dict.fromkeys(("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:str"), _Values.text)
_Values.yaml_constructors = {**SafeConstructor.yaml_constructors, **_OWN}


def _plain(node: yaml.Node) -> Any:
    return _Values().construct_document(node)
