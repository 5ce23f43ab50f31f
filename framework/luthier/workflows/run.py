"""One run: measure, fit, measure again, keep what came out, and say it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
from omegaconf import OmegaConf

from luthier.errors import RecipeError
from luthier.errors.suggestions import nearest
from luthier.evaluation.model_selection import select
from luthier.evaluation.prompt_selection import ValidationPromptScorer
from luthier.evaluation.scores import Scores
from luthier.inference.predictor import NetworkPredictor
from luthier.models.trainable_parameters import check_adaptation
from luthier.plugins.hookspecs import hookimpl
from luthier.records import environment
from luthier.records.changes import changes
from luthier.records.events import EventLog
from luthier.records.folder import RunFolder, write_text
from luthier.records.redaction import redact
from luthier.reporting import terminal
from luthier.reporting.card import card
from luthier.reporting.console import coloured
from luthier.reporting.page import page
from luthier.training.allocator import keep_freed_memory
from luthier.training.guarded_logger import GuardedLogger
from luthier.training.resume import starting_point
from luthier.training.signals import Signals
from luthier.training.tracking import finish
from luthier.workflows import artifact, recording

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from torch import nn

    from luthier.config.compose import Composition
    from luthier.contracts.adaptation import Adaptation
    from luthier.contracts.model import Model
    from luthier.data.module import Data
    from luthier.evaluation.evaluation import Evaluation
    from luthier.plugins.registry import Plugins
    from luthier.reporting.console import Console
    from luthier.training.method import Method
    from luthier.workflows.parts import Parts


@dataclass
class Run:
    """The parts of a run and what it has found so far."""

    composition: Composition
    parts: Parts
    folder: RunFolder
    plugins: Plugins
    console: Console
    signals: Signals = field(default_factory=Signals)
    loggers: list[GuardedLogger] = field(default_factory=list)
    before: Scores | None = None
    after: Scores | None = None
    trained: bool = False
    fit_seconds: float = 0.0
    goes_on: bool = False
    start: Path | None = None

    @property
    def name(self) -> str:
        return self.folder.path.name

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def config(self) -> DictConfig:
        return self.composition.config

    @property
    def model(self) -> Model:
        return self.parts.model

    @property
    def adaptation(self) -> Adaptation:
        return self.parts.adaptation

    @property
    def method(self) -> Method:
        return self.parts.method

    @property
    def data(self) -> Data:
        return self.parts.data

    @property
    def evaluation(self) -> Evaluation:
        return self.parts.evaluation

    @property
    def artifact_kind(self) -> str:
        if not self.trained:
            return ""
        return "adapter" if self.adaptation.needs_base else "weights"

    @property
    def subject(self) -> NetworkPredictor:
        """The network as it is now, where it computes."""
        return self._predictor(self.method.network)

    def _predictor(self, network: nn.Module) -> NetworkPredictor:
        trainer = self.parts.trainer
        network = network.to(trainer.device)
        return NetworkPredictor(network, self.model.tokenizer, self.parts.prompt, self.method, trainer.autocast)

    def carry_out(self) -> float | None:
        """Go through the stages, write what is left, and give the score that the recipe names."""
        with self.folder.lock(), self.signals:
            self._begin()
            select(
                self.model, self.data, self.method, self.evaluation, str(self.config.score),
                self._predictor, self.console.say,
            )  # fmt: skip
            for stage in self._stages():
                stage()
            return self._finish() if first_rank() else None

    def search(self) -> None:
        """Let the prompt choose its words on the validation split."""
        if not first_rank():
            return
        self.console.say("searching for a prompt on the validation split …")
        self.method.load()
        examples = self.data.examples("validation")
        self.parts.prompt.choose(
            ValidationPromptScorer(self.evaluation, self.subject, examples, str(self.config.score))
        )

    def baseline(self) -> None:
        """Measure the model as it comes, unless the run that goes on has done so."""
        done = self.folder.scores / "before"
        if not first_rank():
            return
        if self.goes_on and (done / "scores.json").is_file():
            self.before = Scores.load(done, self.evaluation.reductions(self.method))
            return
        self.method.load()
        self.before = self._measured("before")

    def fit(self) -> None:
        """Train what the adaptation lets move."""
        pl.seed_everything(int(self.config.seed), verbose=False)
        self.adaptation.learn(self.data.first_batches(), self.model.tokenizer)
        at = time.perf_counter()
        self.loggers = [GuardedLogger.around(logger) for logger in self.parts.tracking(self.folder)]
        foreign = self.plugins.ask("luthier_callbacks", config=self.config)
        self.parts.trainer.fit(
            self.method,
            self.data,
            self.folder,
            self.signals,
            loggers=self.loggers,
            callbacks=[callback for _, found in foreign for callback in found],
            gradient_checkpointing=bool(self.config.model.get("gradient_checkpointing")),
            start=self.start,
        )
        self.fit_seconds, self.trained = time.perf_counter() - at, True

    def evaluate(self) -> None:
        """Measure the model as it is now on the same examples."""
        if first_rank():
            if not self.method.is_loaded:
                self.method.load()
            self.after = self._measured("after")

    def _stages(self) -> list[Callable[[], None]]:
        known = {"search": self.search, "baseline": self.baseline, "fit": self.fit, "evaluate": self.evaluate}
        names = list(self.config.stages)
        for name in names:
            if name not in known:
                raise RecipeError(
                    f"There is no stage {name!r}.", where="stages", hint=nearest(name, known, "There are")
                )
        return [known[name] for name in names]

    def _begin(self) -> None:
        if self.parts.trainer.device.type == "cpu":
            keep_freed_memory()
        score = str(self.config.score)
        if score not in self.evaluation.reductions(self.method):
            raise RecipeError(
                f"The recipe's score is {score!r}, which its evaluation does not measure.",
                where="score",
                hint=nearest(score, self.evaluation.reductions(self.method), "It measures"),
            )
        if "fit" in self.config.stages:
            events = EventLog(self.folder.events if first_rank() else None)
            self.start = starting_point(self.folder.checkpoints, self.config.resume, events)
            if first_rank():
                check_adaptation(self.model, self.adaptation)
        if self.config.resume not in (None, "never"):
            self._go_on()
        self.environment = environment.describe(seed=int(self.config.seed))
        if not first_rank():
            return
        self.folder.write_recipe(self.composition.given)
        self.folder.write_resolved(OmegaConf.to_container(self.config))  # type: ignore[arg-type]
        self.folder.write_environment(self.environment)
        for _, lines in self.plugins.ask("luthier_report", config=self.config):
            for line in lines:
                self.console.say(line)

    def _go_on(self) -> None:
        """Say which settings differ from those that the folder's run began with; without any, its baseline counts."""
        then = self.folder.read_resolved()
        now: Any = redact(OmegaConf.to_container(self.config))
        differs = changes(then, now) if then else []
        if differs and first_rank():
            self.method.warnings.append(f"It went on with other settings than it began with: {'; '.join(differs)}.")
            self.console.say(f"note: {self.method.warnings[-1]}")
        self.goes_on = bool(then) and not differs

    def _measured(self, name: str) -> Scores:
        split = "test" if self.data.examples("test") else "validation"
        self.console.say(f"measuring {name} on the {split} split …")
        scores = self.evaluation(self.subject, {split: self.data.examples(split)})
        scores.save(self.folder.scores / name)
        return scores

    def _finish(self) -> float | None:
        config = self.config
        facts = {
            "run": self.name,
            "recipe": self.composition.recipe,
            "recipe_hash": self.composition.hash,
            "seed": int(config.seed),
            "commit": self.environment["commit"],
            "packages": self.environment["packages"],
            "model": self.model.lineage(),
            "trained": self.trained,
            "needs_base": self.adaptation.needs_base or not self.trained,
            "data": self.data.fingerprint(),
            "scores": {name: score.value for name, score in self.after.items()} if self.after else {},
        }
        moved = self.subject if self.trained else None
        artifact.save(
            self.model.tokenizer, self.parts.prompt, moved, self.adaptation, self.folder, recipe=config, facts=facts
        )
        self._say()
        scores = {name: score.value for name, score in self.after.items()} if self.after else {}
        samples = [
            {"prompt": one.conversation[-1].get("content"), "answer": one.output, "reference": one.reference}
            for one in (self.after.samples if self.after else ())
        ]
        finish(self.loggers, scores, samples, self.folder.artifact)
        return self._score()

    def _say(self) -> None:
        """Write the record and its views: report, model card, the table of the terminal."""
        outcome = recording.Outcome(
            self.composition, self.parts, self.folder, self.before, self.after, self.trained, self.artifact_kind,
            self.fit_seconds, self.start,
        )  # fmt: skip
        record = recording.record(outcome, self.environment)
        write_text(self.folder.report, page(record))
        for place in (self.folder.card, self.folder.artifact / "README.md"):
            write_text(place, card(record))
        record.save(self.folder.record)
        kind = f" ({self.artifact_kind})" if self.artifact_kind else ""
        places = {
            "Artifact": os.path.relpath(self.folder.artifact) + kind,
            "Report": os.path.relpath(self.folder.report),
        }
        self.console.data(terminal.table(record, places, colour=coloured(sys.stdout)), record.as_json())

    def _score(self) -> float | None:
        name = str(self.config.score)
        measured = self.after if self.after is not None else self.before
        if measured is None:
            return None
        value = measured[name].value
        self.folder.write_score(value, name)
        return value


class Core:
    """The core's own word on `luthier_run`, the last one."""

    @hookimpl(trylast=True)
    def luthier_run(self, run: Run) -> float | None:
        return run.carry_out()


def first_rank() -> bool:
    """Whether this process speaks for the run; the others of a distributed run only train."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", 0))) == 0
