"""Steps of a finished run are made again from one of its checkpoints, and compared with what it recorded of them."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from luthier.config.compose import Composition
from luthier.errors import NumericsError, RecipeError
from luthier.errors.interrupted import Interrupted
from luthier.fetch.paths import local_path
from luthier.plugins.registry import Plugins
from luthier.records import environment
from luthier.records.events import complete_lines
from luthier.records.folder import RunFolder
from luthier.reporting.console import Console
from luthier.training import checkpoint_files
from luthier.training.checkpoint_comparison import Compared, compare
from luthier.training.tracking import GuardedTracker, NoTracking
from luthier.workflows.artifact import ARTIFACT_MANIFEST
from luthier.workflows.origins import recipe_read_back
from luthier.workflows.parts import assemble
from luthier.workflows.places import with_places
from luthier.workflows.run import Run
from luthier.workflows.step_comparison import compare_steps

MOST = 100
NAMED = 3


@dataclass(slots=True)
class Reproduction:
    """What was made again, and what of it differs; `surroundings` is what was other then, such as a version."""

    first: int
    last: int
    surroundings: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    compared: dict[str, Compared] = field(default_factory=dict)

    @property
    def differs(self) -> dict[str, list[str]]:
        return {name: one.differ for name, one in self.compared.items() if one.differ}

    def as_json(self) -> dict[str, Any]:
        return {
            "equal": not self.differs, "first_step": self.first, "last_step": self.last, "differs": self.differs,
            "compared": {name: one.values for name, one in self.compared.items()},
            "surroundings": {name: {"then": then, "now": now} for name, (then, now) in self.surroundings.items()},
        }  # fmt: skip

    def refuse(self) -> None:
        """NumericsError where something differs, with what was other then."""
        if not self.differs:
            return
        what = "; ".join(f"{name} ({', '.join(places[:NAMED])})" for name, places in self.differs.items())
        other = ", ".join(_other(name, then, now) for name, (then, now) in self.surroundings.items())
        raise NumericsError(
            f"Steps {self.first} to {self.last} come to other values than the run recorded: {what}.",
            hint=f"What is other than then: {other}." if other else "Versions, hardware and seed are those of then.",
        )


class EndAfter(pl.Callback):
    """Ends a training after an optimizer step as a signal would: it is saved first."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step >= self.step:
            raise Interrupted(signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """The folder of a run that trained, and which steps of it can be made again."""

    folder: RunFolder

    @classmethod
    def at(cls, path: str | Path) -> RecordedRun:
        """RecipeError where there is no run that trained."""
        folder = RunFolder(local_path(path))
        if not folder.resolved.is_file() or not folder.metrics.is_file():
            raise RecipeError(f"{path} is not the folder of a run that trained.", hint="Runs are under runs/.")
        return cls(folder)

    @property
    def steps(self) -> int:
        """The last step that it recorded."""
        return max((int(line["step"]) for line in complete_lines(self.folder.metrics)), default=0)

    @property
    def checkpoints(self) -> dict[int, Path]:
        """Its checkpoints by step, in order."""
        found = checkpoint_files.checkpoints(self.folder.checkpoints)
        return {checkpoint_files.step_of(path) or 0: path for path in reversed(found)}

    def span(self, step: int | None, steps: int | None) -> tuple[int, int]:
        """The step to go on from, 0 for the beginning, and the last one to make again.

        By default from the checkpoint before the last one, so that there is one to compare with. RecipeError for what
        the run has no checkpoint or no step of.
        """
        known = list(self.checkpoints)
        start = step if step is not None else (known[-2] if len(known) > 1 else 0)
        if start and start not in known:
            has = ", ".join(map(str, [0, *known]))
            raise RecipeError(f"The run has no checkpoint of step {start}.", where="--step", hint=f"It has {has}.")
        later = [one for one in known if one > start]
        last = start + steps if steps is not None else min(later[0] if later else self.steps, start + MOST)
        if not start < last <= self.steps:
            raise RecipeError(
                f"The run recorded {self.steps} steps, so that {last - start} after step {start} are not among them.",
                where="--steps",
                hint="Use an earlier --step or fewer --steps.",
            )
        return start, last


def reproduce(
    recorded: RecordedRun, place: Path, start: int, last: int, plugins: Plugins, vouched: tuple[str, ...],
    console: Console,
) -> Reproduction:  # fmt: skip
    """Train from step `start` to `last` in the folder `place`, and compare it with the record.

    RecipeError (2) where the data is other data than then, before anything is trained.
    """
    run = _run(recorded, place, start, last, plugins, vouched, console)
    found = Reproduction(start + 1, last, dict(surroundings(recorded.folder, run)))
    for name, (then, now) in found.surroundings.items():
        console.say(f"note: {_other(name, then, now)}")
    with suppress(Interrupted):
        run.train()
    found.compared = compare_steps(recorded.folder, run.folder, start + 1, last)
    ours, theirs = recorded.checkpoints.get(last), RecordedRun(run.folder).checkpoints.get(last)
    if ours is not None and theirs is not None:
        found.compared |= compare(ours, theirs)
    return found


def _run(
    recorded: RecordedRun, place: Path, start: int, last: int, plugins: Plugins, vouched: tuple[str, ...],
    console: Console,
) -> Run:  # fmt: skip
    manifest, own = _manifest(recorded.folder), recorded.folder
    config: Any = recipe_read_back(own.resolved, plugins, vouched, manifest.get("parts"), owner=own.path)
    config = with_places(config, manifest.get("places", {}), recorded.folder.artifact) if manifest else config
    config.resume = str(recorded.checkpoints[start].absolute()) if start else None
    composition = Composition(config, {}, [], vouched=vouched)
    folder = RunFolder(place)
    folder.create()
    parts = replace(assemble(config, composition.trust, folder), tracking=GuardedTracker("none", NoTracking))
    return Run(composition, parts, folder, plugins, console, callbacks=[EndAfter(last)])


def surroundings(folder: RunFolder, run: Run) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """What is not as it was: luthier, Python, packages, processor, accelerators, commit, data; (then, now) by name."""
    then = json.loads(folder.environment.read_text(encoding="utf-8")) if folder.environment.is_file() else {}
    now = environment.describe(seed=int(run.config.seed))
    yield from _differing(then, now, ("luthier", "python", "platform", "commit", "seed"))
    packages, installed = then.get("packages", {}), now["packages"]
    yield from _differing(packages, installed, sorted(packages))
    yield from _differing(then.get("hardware", {}), now["hardware"], ("processor", "accelerators"))
    data = _manifest(folder).get("data", {})
    if data:
        yield from _differing({"data": data.get("sha256")}, {"data": run.data.digest}, ("data",))


def _other(name: str, then: Any, now: Any) -> str:
    return f"{name} was {then}, {'and is not here' if now is None else f'is {now}'}"


def _differing(then: Mapping[str, Any], now: Mapping[str, Any], names: Any) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for name in names:
        if name in then and then[name] != now.get(name):
            yield name, (then[name], now.get(name))


def _manifest(folder: RunFolder) -> dict[str, Any]:
    """That of the run's artifact; empty where there is none, or none that can be read."""
    try:
        found = json.loads((folder.artifact / ARTIFACT_MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
