"""What a run starts from: a checkpoint with the recipe of then, or the beginning; and the baseline that is there."""

from __future__ import annotations

import logging
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from luthier.disk.redaction import redact
from luthier.errors import ResourceError
from luthier.records.changes import changes
from luthier.records.events import EventLog
from luthier.records.ranks import is_first_rank
from luthier.training.resume import starting_point
from luthier.workflows.resumed_recipe import ResumedRecipe, listed

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from luthier.config.compose import Composition
    from luthier.records.folder import RunFolder
    from luthier.workflows.parts import Parts

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Start:
    """The checkpoint that a training goes on from, with the recipe of then; both None at the beginning."""

    checkpoint: Path | None = None
    resumed: ResumedRecipe | None = None

    @classmethod
    def found(cls, composition: Composition, parts: Parts, folder: RunFolder, say: Callable[[str], None]) -> Start:
        """Where `resume` leads; RecipeError where the recipe cannot go on from there.

        A note says what is different from now on, and a warning which checkpoints are not whole. `batch.micro` is then
        no more than what was found to fit into memory.
        """
        chosen: list[ResumedRecipe] = []

        def check(checkpoint: Path) -> None:
            resumed = ResumedRecipe.at(checkpoint, composition, parts)
            parts.data.micro = min(parts.data.micro, resumed.micro or parts.data.micro)
            resumed.check()
            if (different := resumed.changes) and is_first_rank():
                _warn(f"It goes on from step {resumed.then.step} with other settings: {listed(different)}.", "note")
            chosen.append(resumed)

        def passed_over(warning: str) -> None:
            if is_first_rank():
                log.warning("%s", warning)
                _warn(warning, "warning")

        def _warn(sentence: str, kind: str) -> None:
            parts.method.warnings.append(sentence)
            say(f"{kind}: {sentence}")

        events = EventLog(folder.events if is_first_rank() else None)
        checkpoint = starting_point(folder.checkpoints, composition.config.resume, events, check, passed_over)
        return cls(checkpoint, chosen[0] if chosen else None)

    @property
    def place(self) -> str:
        """The name of the checkpoint; empty at the beginning."""
        return self.checkpoint.name if self.checkpoint else ""

    def refuse_another(self, of_first_rank: str) -> None:
        """ResourceError where the first rank starts elsewhere: this one does not see the folder that that one sees."""
        if self.place != of_first_rank:
            raise ResourceError(
                f"The first rank starts from {of_first_rank or 'the beginning'}, and this one, on "
                f"{socket.gethostname()}, from {self.place or 'the beginning'}: they do not see the same folder.",
                where="hydra.run.dir",
                hint="Keep runs in a folder that all machines share.",
            )


def baseline_counts(config: DictConfig, folder: RunFolder) -> bool:
    """Whether the baseline that the folder holds is that of this recipe; one of another recipe is removed."""
    if config.resume in (None, "never"):
        return False
    then = folder.read_resolved()
    now: Any = redact(OmegaConf.to_container(config))
    same = bool(then) and not changes(then, now)
    if is_first_rank() and not same:
        shutil.rmtree(folder.scores / "before", ignore_errors=True)
    return same
