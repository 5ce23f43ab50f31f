"""What a reading depends on beside settings: told without reading."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Stateful(Protocol):
    """A source, or a filter behind one, that can tell without reading whether it would read what it read before."""

    def state(self) -> Any:
        """Names, sizes and times of its files, as JSON; None where what it reads must not be kept."""


def source_state(part: object) -> Any:
    """What a source or filter tells; None where it does not."""
    return part.state() if isinstance(part, Stateful) else None
