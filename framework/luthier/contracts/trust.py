"""What the user vouched for on the command line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trust:
    """The names given with `--trust`. A part whose constructor has a positional parameter `trust` is handed it."""

    names: frozenset[str] = frozenset()
    """Dotted names of callables, `<id>@<commit>` of models on a hub, and paths of folders."""

    def covers(self, name: str, revision: str | None = None) -> bool:
        """Whether a model's own code may be loaded: `--trust <id>@<commit>`, or `--trust <path>` of a folder."""
        return (f"{name}@{revision}" if revision else name) in self.names
