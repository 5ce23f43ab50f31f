"""A cached run: its folder is named by the hash of everything that it depends on, so that it is carried out once."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.config import command_line, precision
from luthier.errors import LuthierError, RecipeError
from luthier.records.folder import RunFolder
from luthier.records.lock import RunLock
from luthier.records.whole_scores import are_whole
from luthier.workflows import artifact_manifest
from luthier.workflows.cached_runs.key import key
from luthier.workflows.sweeps import jobs

if TYPE_CHECKING:
    from luthier.config.compose import Composer, Composition
    from luthier.reporting.console import Console

RUNS = Path("runs")
SCORES_OF = {"baseline": "before", "evaluate": "after"}
"""The folder of the scores that a stage leaves."""
SHOWN = 12  # digits of the hash in the folder's name
POLL = 0.5
STDERR = 2


@dataclass(frozen=True)
class CachedRun:
    """A run in `runs/<recipe>-<hash>`. Waits for another process that carries out the same run."""

    composition: Composition
    overrides: tuple[str, ...]

    @classmethod
    def compose(cls, composer: Composer, overrides: Sequence[str]) -> CachedRun:
        """Compose a run; RecipeError for overrides that luthier decides for a cached run, and for sweeps."""
        for word in command_line.read(overrides, composer.catalog):
            if word.key in {"name", "resume"} or word.key.partition(".")[0].split("/")[0] == "hydra":
                message = f"{word.key} is set by luthier: a cached run is named by the hash of what it depends on."
                raise RecipeError(
                    message, where=word.text, hint="Leave it out; an interrupted run is resumed automatically."
                )
            if word.sweeps:
                hint = "Use `luthier compare` or -m for several values."
                raise RecipeError(f"{word.text!r} has several values, and this is one run.", where=word.text, hint=hint)
        return cls(composer.compose(overrides), tuple(overrides))

    @cached_property
    def settled(self) -> Composition:
        """The composition with the precision that this machine decides for where the recipe leaves it open."""
        if not precision.is_open(self.composition.config):
            return self.composition
        from luthier.workflows.precision import settle

        return settle(self.composition)

    @cached_property
    def key(self) -> str:
        return key(self.settled)

    @cached_property
    def folder(self) -> RunFolder:
        recipe = re.sub(r"[^A-Za-z0-9._-]", "-", self.composition.recipe)
        return RunFolder(RUNS / f"{recipe}-{self.key[:SHOWN]}")

    @property
    def is_finished(self) -> bool:
        """Whether all is whole that it left: its record, its artifact, and the scores of the stages that measure."""
        from luthier.reporting.record import RunRecord

        try:
            RunRecord.load(self.folder.record)
            artifact_manifest.verify(self.folder.artifact)
        except LuthierError:
            return False
        measured = [scores for stage, scores in SCORES_OF.items() if stage in self.composition.config.stages]
        scored = not measured or self.folder.read_score() is not None
        return scored and all(are_whole(self.folder.scores / name) for name in measured)

    @property
    def is_resumable(self) -> bool:
        """Whether the run was started, so that it can be resumed."""
        return self.folder.resolved.is_file()

    def carry_out(self, flags: Sequence[str], console: Console) -> int:
        """Carry it out in a process of its own, resuming where it was interrupted, and return the exit code.

        Its output goes to stderr. `flags` are luthier's own flags.
        """
        if self._wait(console) and self.is_finished:
            return 0
        self.folder.score.unlink(missing_ok=True)
        return jobs.carry_out(
            flags, [*self.overrides, *self.settled.decided, "resume=auto"], self.folder.path, output=STDERR
        )

    def score(self) -> dict[str, Any]:
        """The recipe's score by its name; empty where none was measured."""
        value = self.folder.read_score()
        return {} if value is None else {str(self.composition.config.score): value}

    def _wait(self, console: Console) -> bool:
        """Wait while another process holds the folder's lock; returns whether one did."""
        waited = False
        while (owner := RunLock.owner_of(self.folder.lock_file)) is not None:
            if not waited:
                console.say(f"waiting for process {owner.get('pid', '?')}, which holds {self.folder.path} …")
            waited = True
            time.sleep(POLL)
        return waited
