"""What the other ranks take over from the first one, and how long they wait for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeVar

import torch.distributed as dist

Value = TypeVar("Value")
PATIENCE = timedelta(days=7)
"""How long ranks wait for the first one: a search or an evaluation may take so long."""


def patient_group() -> Any:
    """A new process group of all ranks that waits for the first one as long as it takes; all ranks make it together."""
    return dist.new_group(backend="gloo", timeout=PATIENCE)


def of_first_rank(value: Value, group: Any) -> Value:
    """The value of the first rank, on all ranks of `group`; all call it together."""
    box = [value]
    dist.broadcast_object_list(box, src=0, group=group)
    return box[0]
