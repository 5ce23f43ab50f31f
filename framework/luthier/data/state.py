"""The state of a source's files, by which its readings are cached."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Stateful(Protocol):
    """A source or filter whose input has a state that is known without reading its rows."""

    def state(self) -> Any:
        """Names, sizes and sha256 of its files, as JSON; None where its reading must not be cached."""


def source_state(part: object) -> Any:
    """The state of a source or filter; None where it has none."""
    return part.state() if isinstance(part, Stateful) else None
