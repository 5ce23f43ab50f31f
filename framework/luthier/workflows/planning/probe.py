"""What two optimizer steps of a recipe take, carried out in a process of their own: `luthier plan --probe`."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.config import command_line
from luthier.errors import LuthierError
from luthier.records.events import complete_lines
from luthier.training.child_processes import command, failure

if TYPE_CHECKING:
    from luthier.config.compose import Composition

STEPS = 2
"""The second one computes beside the optimizer's state, which the first one makes, as all later ones do."""
OF_THE_PROBE = ("stages", "tracking", "resume", "name", "hydra.run.dir", "trainer.max_steps", "trainer.keep_best")
"""What a probe says itself, whatever the command line says."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What was measured: the peak of the process in bytes, or of its GPU, and the seconds of an optimizer step."""

    memory: int
    seconds: float
    warnings: tuple[str, ...]
    """What the report of the two steps warns of, such as memory that ran out."""


@dataclass(frozen=True, slots=True)
class Prober:
    """Carries out probes of a command line, with its flags and in the environment that it was given."""

    flags: Sequence[str]
    environment: Mapping[str, str]

    def __call__(self, composition: Composition, *, longest: int) -> Probe:
        """Train for two steps in a folder that is removed again; model and data are fetched where they are not here.

        Rows of their own are packed for it to the length of the `longest` example: no micro-batch of the run takes
        more. Raises the error that the run would end with.
        """
        batch = composition.config.batch
        words = _without(composition.overrides, OF_THE_PROBE)
        words += ["stages=[fit]", "tracking=none", f"trainer.max_steps={STEPS}", "trainer.keep_best=false"]
        if not batch.packing:
            words = _without(words, ("batch.packing", "batch.length"))
            words += ["batch.packing=true", f"batch.length={max(2, min(int(batch.length), longest))}"]
        with tempfile.TemporaryDirectory(prefix="luthier-probe-") as folder:
            run = Path(folder) / "probe"
            asked = [*(flag for flag in self.flags if flag != "--json"), "--json"]
            done = subprocess.run(  # noqa: S603 - this very program
                command(asked, words, run), env=dict(self.environment), stdin=subprocess.DEVNULL,
                capture_output=True, text=True,
            )  # fmt: skip
            if done.returncode:
                raise _error(done.returncode, done.stderr)
            steps = complete_lines(run / "metrics.jsonl")
            record = json.loads((run / "record.json").read_text(encoding="utf-8"))
        return Probe(int(record["training"]["peak_memory"]), float(steps[-1]["seconds"]), tuple(record["warnings"]))


def _without(overrides: Sequence[str], settings: Sequence[str]) -> list[str]:
    return [word.text for word in command_line.read(overrides) if word.path not in settings]


def _error(code: int, said: str) -> LuthierError:
    """What the probe ended with, in its own words."""
    error = failure("The probe", code, where="--probe")
    last = (said.strip().splitlines() or [""])[-1]
    try:
        told = json.loads(last)
        error.message, error.where, error.hint = (str(told[name]) for name in ("message", "where", "hint"))
    except (ValueError, KeyError, TypeError):
        error.hint = f"It said: {last}" if last else "It said nothing."
    return error
