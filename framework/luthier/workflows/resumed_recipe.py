"""The recipe of a run that goes on beside that of its checkpoint: what may have changed, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
from omegaconf import OmegaConf

from luthier.data.saved_place import ANEW
from luthier.disk.redaction import redact
from luthier.errors import RecipeError
from luthier.errors.pasting import setting_to_paste
from luthier.records.changes import Change, changes
from luthier.training import checkpoint_files
from luthier.training.checkpoint_io import OF_RUN, Description, describe

if TYPE_CHECKING:
    from luthier.config.compose import Composition
    from luthier.workflows.parts import Parts

FIXED = ("model", "adaptation", "method", "optimizer._target_", "seed")
"""What a training is: the parts and settings that stay. Data is compared by what it holds, not by its settings."""
OF_DATA = ("data", "prompt", "batch._target_", "batch.length", "batch.packing", "batch.overlong")
FOR_STEPS = ("optimizer", "trainer", "method", "adaptation")
"""What a change of does something in a further optimizer step only, or while one is made."""
WITHOUT_STEPS = ("trainer.epochs", "trainer.max_steps", "trainer.accelerator", "trainer.devices", "trainer.num_nodes",
                 "trainer.strategy", "trainer.precision", "trainer.max_seconds", "trainer.max_disk")  # fmt: skip


@dataclass(frozen=True)
class ResumedRecipe:
    """The recipe of now, and the checkpoint that a run of it goes on from."""

    composition: Composition
    parts: Parts
    start: Path
    then: Description

    @classmethod
    def at(cls, start: Path, composition: Composition, parts: Parts) -> ResumedRecipe:
        return cls(composition, parts, start, describe(start))

    @property
    def changes(self) -> list[Change]:
        """All settings that are others now; an answer that was replaced is one of them, with all below it."""
        run = self.then.run or _of_folder(self.start)
        now: Any = redact(OmegaConf.to_container(self.composition.config))
        known = changes(run["recipe"], now) if run.get("recipe") else []
        return list(_with_answers(known, run.get("choices", {}), self.composition.choices))

    @property
    def micro(self) -> int | None:
        """The size of micro-batches that was found to fit into memory; None where the recipe says another one now."""
        said = any(one.path == "batch.micro" for one in self.changes)
        return None if said or "micro" not in self.then.run else int(self.then.run["micro"])

    @property
    def changes_of_steps(self) -> list[Change]:
        """Those that do nothing where no optimizer step is left."""
        return [one for one in self.changes if one.below(*FOR_STEPS) and not one.below(*WITHOUT_STEPS)]

    def check(self) -> None:
        """RecipeError for what must not change; nothing is loaded for it, and data only where the recipe may go on."""
        parts = {"model": self.parts.model, "adaptation": self.parts.adaptation, "method": self.parts.method}
        free = [f"{name}.{setting}" for name, part in parts.items() for setting in getattr(part, "resumable", ())]
        if fixed := [one for one in self.changes if one.below(*FIXED) and not one.below(*free)]:
            raise RecipeError(
                f"The checkpoint {self.start.name} was trained with another recipe: {listed(fixed)}.",
                where=fixed[0].path,
                hint=_back(fixed),
            )
        self._check_data()
        self._check_steps()

    def _check_data(self) -> None:
        data, changed = self.parts.data, [one for one in self.changes if one.below(*OF_DATA)]
        try:
            data.resumed_steps(self.then.place, self.parts.trainer.epochs)
            held_out = digest_of_held_out(self.parts)
            if self.then.run and self.then.run["held_out"] != held_out:
                raise RecipeError("The validation split is another one than that of the checkpoint.", where="data")
        except RecipeError as error:
            if error.where == "data":
                error.message += f" {listed(changed)}." if changed else ""
                error.hint = _back(changed) if changed else f"Put back what the files held, {ANEW}."
            raise

    def _check_steps(self) -> None:
        steps, done = self.parts.trainer.steps(self.parts.data, self.then), self.then.step
        if steps < done:
            earlier = [path for path in checkpoint_files.checkpoints(self.start.parent) if _step(path) <= steps]
            there = f"go on from an earlier one with {setting_to_paste('resume', str(earlier[0]))}, " if earlier else ""
            raise RecipeError(
                f"The recipe has {steps} optimizer steps now, and the checkpoint is of step {done}.",
                where="trainer.max_steps",
                hint=f"Give it {done} or more with trainer.max_steps or trainer.epochs, {there}{ANEW}.",
            )
        if steps == done:
            self.refuse_without_steps(f"after step {done}, its last one")

    def refuse_without_steps(self, ended: str) -> None:
        """RecipeError where settings have changed that only a further optimizer step would heed."""
        if changed := self.changes_of_steps:
            raise RecipeError(
                f"The training has ended {ended}, so nothing is left for what has changed: {listed(changed)}.",
                where=changed[0].path,
                hint=f"Give it more steps with trainer.max_steps or trainer.epochs. {_back(changed)}",
            )


class OfRun(pl.Callback):
    """Writes into each checkpoint of which recipe and which held-out data it is."""

    def __init__(self, composition: Composition, parts: Parts) -> None:
        self.composition, self.parts = composition, parts

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[OF_RUN] = {
            "recipe": redact(OmegaConf.to_container(self.composition.config)),
            "choices": dict(self.composition.choices),
            "held_out": digest_of_held_out(self.parts),
            "micro": self.parts.data.micro,
        }


def digest_of_held_out(parts: Parts) -> str:
    """That of the encoded validation split; empty where there is none."""
    blocks = parts.data.blocks("validation")
    return blocks.digest if blocks else ""


def listed(changed: Sequence[Change]) -> str:
    """`optimizer.lr was 0.1, is 0.2; …`"""
    return "; ".join(map(str, changed))


def _back(changed: Sequence[Change]) -> str:
    words = [setting_to_paste(one.path, one.old) for one in changed if one.was_set]
    return f"Set {' '.join(words)} again, {ANEW}." if words else "Begin again with resume=never."


def _with_answers(known: Sequence[Change], then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Change]:
    """The changes, where another answer was chosen in place of its settings that one."""
    replaced = {}
    for question in {**then, **now}:
        plain, _, package = question.partition("@")
        at = package or plain.replace("/", ".")
        old, new = then.get(question), now.get(question)
        if old and new and old != new and any(one.at == f"{at}._target_" for one in known):
            replaced[at] = Change(question, old, new, at=f"{at}._target_")
    for one in known:
        above = [at for at in replaced if one.below(at)]
        if not above:
            yield one
        elif one.at == f"{min(above, key=len)}._target_":
            yield replaced[min(above, key=len)]


def _of_folder(start: Path) -> dict[str, Any]:
    """What the folder of a checkpoint of version 0.1 says of its run."""
    resolved = start.parent.parent / "resolved.yaml"
    return {"recipe": OmegaConf.to_container(OmegaConf.load(resolved))} if resolved.is_file() else {}


def _step(path: Path) -> int:
    return checkpoint_files.step_of(path) or 0
