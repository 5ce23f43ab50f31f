"""Who is told? The smallest answer; the run folder's own metrics.jsonl is always written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luthier.run_folder import RunFolder


class Nobody:
    """No tracker. A tracker gives a list of Lightning loggers when it is called with the run's folder."""

    def __call__(self, folder: RunFolder) -> list[Any]:
        return []
