"""Memory that runs out in a training costs the size of its micro-batches, and not the update."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from luthier.records.events import EventLog
from luthier.records.folder import RunFolder
from luthier.training import checkpoint_files
from luthier.training.memory import MemoryExhausted

if TYPE_CHECKING:
    from luthier.contracts.training import StatefulPart
    from luthier.data.module import Data
    from luthier.training.method import Method
    from luthier.training.trainer import TrainingEnd


@dataclass(frozen=True, slots=True)
class SmallerMicroBatches:
    """Goes on from the last whole optimizer step with micro-batches of half the size and twice the accumulation.

    Sums and weights are added up over the micro-batches of a step, so that loss and update are those of the smaller
    size. `stateful` are the parts with a state, which is put back where there is no checkpoint yet.
    """

    data: Data
    method: Method
    folder: RunFolder
    stateful: Mapping[str, StatefulPart]

    def until_it_fits(
        self, train: Callable[[Path | None], TrainingEnd], start: Path | None, say: Callable[[str], None]
    ) -> TrainingEnd:
        """Train from `start`; MemoryExhausted where even one row at a time is too much, and on several devices."""
        before = {path: copy.deepcopy(part.state_dict()) for path, part in self.stateful.items()}
        found = self.data.micro
        while True:
            try:
                end = train(start)
                break
            except MemoryExhausted as error:
                if self.data.micro == 1 or _several_devices():
                    raise
                message = f"{error.where}: {error.message}"
            gc.collect()  # what the traceback held, which ends with the clause above
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self.data.micro = self.data.micro // 2
            start = self._last_step(start)
            if start is None:
                for path, state in before.items():
                    self.stateful[path].load_state_dict(copy.deepcopy(state or {}))
            self.method.begin_step()
            say(f"note: {message} It goes on with batch.micro={self.data.micro}; the update stays the same.")
            EventLog(self.folder.events).tell("smaller_micro_batches", micro=self.data.micro, why=message)
        if self.data.micro < found:
            self.method.warnings.append(
                f"Memory ran out with batch.micro={found}: from then on it was trained with batch.micro="
                f"{self.data.micro} and more accumulation, which leaves the update as it is."
            )
        return end

    def _last_step(self, start: Path | None) -> Path | None:
        """The checkpoint of the last whole step; where none was made since, the one that the training began with."""
        found = checkpoint_files.checkpoints(self.folder.checkpoints)
        return found[0] if found else start


def _several_devices() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
