"""A run that is carried out once: its folder's name is the hash of what it depends on."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.config import command_line
from luthier.errors import RecipeError
from luthier.records.folder import RunFolder
from luthier.records.lock import RunLock
from luthier.workflows.cached_runs.key import MANIFEST, key
from luthier.workflows.sweeps import jobs

if TYPE_CHECKING:
    from luthier.config.compose import Composer, Composition
    from luthier.reporting.console import Console

RUNS = Path("runs")
SHOWN = 12  # digits of the hash in the folder's name
POLL = 0.5
STDERR = 2


@dataclass(frozen=True)
class CachedRun:
    """An ordinary run in `runs/<recipe>-<hash>`. Another process that carries out the same run is waited for."""

    composition: Composition
    overrides: tuple[str, ...]

    @classmethod
    def compose(cls, composer: Composer, overrides: Sequence[str]) -> CachedRun:
        """Check the recipe as any other; RecipeError where it says what is decided here."""
        for word in command_line.read(overrides, composer.catalog):
            if word.key in {"name", "resume"} or word.key.partition(".")[0].split("/")[0] == "hydra":
                said = f"{word.key} is decided by luthier: such a run is named by the hash of what it depends on."
                raise RecipeError(said, where=word.text, hint="Leave it out; what was cut off goes on by itself.")
            if word.sweeps:
                hint = "`luthier compare` and -m take several values."
                raise RecipeError(
                    f"{word.text!r} names several values, and this is one run.", where=word.text, hint=hint
                )
        return cls(composer.compose(overrides), tuple(overrides))

    @cached_property
    def key(self) -> str:
        return key(self.composition)

    @cached_property
    def folder(self) -> RunFolder:
        recipe = re.sub(r"[^A-Za-z0-9._-]", "-", self.composition.recipe)
        return RunFolder(RUNS / f"{recipe}-{self.key[:SHOWN]}")

    @property
    def finished(self) -> bool:
        """Whether its record and its artifact are there, every file of it as it was written."""
        try:
            json.loads(self.folder.record.read_bytes())
            manifest = json.loads((self.folder.artifact / MANIFEST).read_bytes())
        except (OSError, ValueError):
            return False
        return _intact(self.folder.artifact, manifest["files"])

    @property
    def begun(self) -> bool:
        """Whether there is something to go on from."""
        return self.folder.resolved.is_file()

    def carry_out(self, flags: Sequence[str], console: Console) -> int:
        """Carry it out in a process of its own, from where it was cut off, and give the exit code.

        What the run says goes to stderr. `flags` are luthier's own.
        """
        if self._wait(console) and self.finished:
            return 0
        self.folder.score.unlink(missing_ok=True)
        return jobs.carry_out(flags, [*self.overrides, "resume=auto"], self.folder.path, output=STDERR)

    def score(self) -> dict[str, Any]:
        """The name and the value of the score that the recipe names; empty where none was measured."""
        value = self.folder.read_score()
        return {} if value is None else {str(self.composition.config.score): value}

    def _wait(self, console: Console) -> bool:
        """Wait until nobody else works in the folder; whether somebody did."""
        waited = False
        while (owner := RunLock.owner_of(self.folder.lock_file)) is not None:
            if not waited:
                console.say(f"waiting for process {owner.get('pid', '?')}, which works in {self.folder.path} …")
            waited = True
            time.sleep(POLL)
        return waited


def _intact(artifact: Path, files: dict[str, str]) -> bool:
    from luthier.fetch.digests import sha256_of_file

    return all((artifact / name).is_file() and sha256_of_file(artifact / name) == sha for name, sha in files.items())
