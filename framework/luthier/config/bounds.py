"""How large a recipe may grow: its files, what their aliases unfold to, what its interpolations grow to.

A few lines of YAML can unfold to gigabytes (aliases of aliases), and a few interpolations too. Both are counted before
anything unfolds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from luthier.errors import RecipeError, Refused

MOST_BYTES = 200_000
MOST_NODES = 20_000
MOST_CHARACTERS = 5_000_000
DEEPEST = 40

_REFERENCE = re.compile(r"\$\{([^${}]*)\}")
_PATH = re.compile(r"\.*[^\W\d]\w*(?:\.\w+|\[\w+\])*")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where PyYAML was built with it
_PLAIN_TAGS = {"!", *(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq"))}


def refuse_unbounded_file(file: Path) -> None:
    """Refuse (exit 6) a YAML file that is no plain file, too large, too deep, or unfolds to too much."""
    if not file.is_file():
        raise Refused("A recipe must be a plain file.", where=str(file))
    if file.stat().st_size > MOST_BYTES:
        raise Refused(
            f"A recipe of {file.stat().st_size:,} bytes is no recipe; {MOST_BYTES:,} are allowed.", where=str(file)
        )
    try:
        nodes, depth = _unfolded(file.read_text(encoding="utf-8"), file)
    except UnicodeDecodeError as error:
        raise RecipeError(f"The file is no UTF-8: {error.reason} at byte {error.start}.", where=str(file)) from error
    except yaml.YAMLError as error:
        raise unreadable(error, file) from error
    if nodes > MOST_NODES or depth > DEEPEST:
        raise Refused(
            f"The file unfolds to {nodes:,} values, {depth} deep; {MOST_NODES:,} and {DEEPEST} are allowed.",
            where=str(file),
        )


def unreadable(error: yaml.YAMLError, file: Path | str) -> RecipeError:
    """A YAML error as a sentence with file, line and column."""
    mark = getattr(error, "problem_mark", None)
    where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    return RecipeError(f"This is not YAML: {problem}.", where=where)


def _unfolded(text: str, file: Path) -> tuple[int, int]:
    """How many values the text holds with every alias unfolded, and how deep they nest; nothing is built."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    total = depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        size, anchor = 0, getattr(event, "anchor", None)
        if (
            isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent))
            and event.tag
            and event.tag not in _PLAIN_TAGS
        ):
            raise Refused(f"The tag {event.tag!r} asks for an object that is no plain value.", where=_line(file, event))
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((anchor, total))
            total, depth = 0, max(depth, len(open_nodes))
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            size, total = total + 1, before
        elif isinstance(event, yaml.AliasEvent):
            if any(name == anchor for name, _ in open_nodes):
                raise Refused(f"The alias *{anchor} stands inside itself.", where=_line(file, event))
            size = sizes.get(str(anchor), 1)
        elif isinstance(event, yaml.ScalarEvent):
            size = 1
        if anchor and not isinstance(event, yaml.AliasEvent):
            sizes[anchor] = size
        total += size
        if depth > DEEPEST:
            break
    return total, depth


def _line(file: Path, event: yaml.Event) -> str:
    return f"{file}:{event.start_mark.line + 1}" if event.start_mark else str(file)


def refuse_growing(config: dict[str, Any]) -> None:
    """Refuse (exit 6) interpolations that stand inside each other, or that would together grow beyond all bounds.

    `config` is plain and unresolved. What a reference stands for is counted once and remembered, so that this takes
    as long as the recipe is, whatever it would grow to.
    """
    _Growth(config).of("", config)


class _Growth:
    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.known: dict[str, int] = {}
        self.open_references: list[str] = []

    def of(self, path: str, node: Any) -> int:
        """How many characters and values the node grows to."""
        if isinstance(node, dict):
            size = 1 + sum(self.of(f"{path}.{key}".lstrip("."), value) for key, value in node.items())
        elif isinstance(node, list):
            size = 1 + sum(self.of(f"{path}.{index}", value) for index, value in enumerate(node))
        elif isinstance(node, str) and "${" in node:
            size = self._text(path, node)
        else:
            size = len(node) if isinstance(node, str) else 1
        if size > MOST_CHARACTERS:
            raise Refused("The interpolations of the recipe grow beyond all bounds.", where=path)
        return size

    def _text(self, path: str, text: str) -> int:
        references = _REFERENCE.findall(text)
        if text.count("${") != len(references):
            raise Refused(f"{text!r} is too intricate an interpolation; name one setting.", where=path)
        return len(text) + sum(self._target(path, name) for reference in references for name in _paths(reference))

    def _target(self, path: str, name: str) -> int:
        absolute = _absolute(path, name)
        if absolute in self.known:
            return self.known[absolute]
        if absolute in self.open_references:
            raise RecipeError(
                f"{' → '.join([*self.open_references, absolute])}: the interpolation leads back to itself.", where=path
            )
        if len(self.open_references) > DEEPEST:
            raise Refused(f"A chain of more than {DEEPEST} interpolations is no recipe.", where=path)
        self.open_references.append(absolute)
        self.known[absolute] = self.of(absolute, _find(self.config, absolute))
        self.open_references.pop()
        return self.known[absolute]


def _paths(reference: str) -> Iterator[str]:
    """The paths that an interpolation may look up: itself, or every word that a resolver is given."""
    resolver, colon, arguments = reference.partition(":")
    yield from _PATH.findall(arguments if colon else resolver)


def _absolute(path: str, name: str) -> str:
    dots = len(name) - len(name.lstrip("."))
    words = [word for word in re.split(r"[.\[\]]+", name) if word]
    around = path.split(".")[:-dots] if dots else []
    return ".".join([*around, *words])


def _find(config: Any, path: str) -> Any:
    node = config
    for word in path.split("."):
        if isinstance(node, dict):
            node = node.get(word, node.get(int(word)) if word.isdigit() else None)
        elif isinstance(node, list) and word.isdigit() and int(word) < len(node):
            node = node[int(word)]
        else:
            return None
    return node
