"""One run: evaluate, train, evaluate again, and write the artifact and the reports."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
from omegaconf import OmegaConf

from luthier.disk.redaction import redact
from luthier.evaluation.model_selection import select
from luthier.evaluation.prompt_selection import ValidationPromptScorer
from luthier.evaluation.scores import Scores
from luthier.inference.predictor import NetworkPredictor
from luthier.models.trainable_parameters import check_adaptation
from luthier.plugins.exits import exits_named
from luthier.plugins.hookspecs import hookimpl
from luthier.plugins.returned import returned
from luthier.records import environment
from luthier.records.events import EventLog
from luthier.records.folder import RunFolder
from luthier.records.ranks import is_first_rank
from luthier.training.allocator import keep_freed_memory
from luthier.training.devices import Devices
from luthier.training.resume import remove_leftovers
from luthier.training.signals import Signals
from luthier.training.trainer import TrainingEnd
from luthier.workflows import course
from luthier.workflows.chosen_prompt import take_over
from luthier.workflows.finishing import write_artifact, write_reports
from luthier.workflows.measuring import Measuring
from luthier.workflows.recording import RunOutcome
from luthier.workflows.resumed_recipe import OfRun
from luthier.workflows.smaller_micro_batches import SmallerMicroBatches
from luthier.workflows.start import Start, baseline_counts

if TYPE_CHECKING:
    from omegaconf import DictConfig

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
    """A run with its parts and its results so far; plugins are shown it as an `ActiveRun`.

    `before` and `after` are the scores of the stages `baseline` and `evaluate`, `fit_seconds` is the wall-clock time
    of training and `end` how it ended, `start` what training continues from.
    """

    composition: Composition
    parts: Parts
    folder: RunFolder
    plugins: Plugins
    console: Console
    signals: Signals = field(default_factory=Signals)
    before: Scores | None = None
    after: Scores | None = None
    trained: bool = False
    fit_seconds: float = 0.0
    end: TrainingEnd = field(default_factory=TrainingEnd)
    baseline_counts: bool = False  # that the folder holds already
    start: Start = field(default_factory=Start)
    callbacks: list[pl.Callback] = field(default_factory=list)  # of the training, after all others

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

    @cached_property
    def devices(self) -> Devices:
        """The processes that this run is spread over."""
        return Devices(self.parts.trainer)

    @cached_property
    def measuring(self) -> Measuring:
        """Measures the network as it is now."""
        return Measuring(self.parts, self.devices, self.folder, str(self.config.score), self.console.say)

    @property
    def predictor(self) -> NetworkPredictor:
        """The whole network as it is now, where this process holds it."""
        return self.measuring.predictor

    def carry_out(self) -> float | None:
        """Go through the stages, write the artifact and the reports, and return the score that the recipe names.

        None where no stage measured, and for ranks other than the first.
        """
        stages: dict[str, Callable[[], None]] = {
            "search": self.search,
            "baseline": self.baseline,
            "fit": self.fit,
            "evaluate": self.evaluate,
        }
        with self.folder.lock(), self.signals, exits_named():
            if is_first_rank():
                remove_leftovers(self.folder.path, EventLog(self.folder.events))
            described = self._begin()
            self._select_model()
            self.devices.launch(lambda: self._go_through([stages[name] for name in self.config.stages]))
            return self._finish(described) if is_first_rank() else None

    def train(self) -> None:
        """Search and train as `carry_out` does, and measure, write and report nothing."""
        with self.folder.lock(), self.signals:
            self._begin()
            self._select_model()
            stages = [self.search] if "search" in self.config.stages else []
            self.devices.launch(lambda: self._go_through([*stages, self.fit]))

    def _go_through(self, stages: Sequence[Callable[[], None]]) -> None:
        """The stages, and then the network whole on the first rank."""
        self.start.refuse_another(self.devices.agree(self.start.place))
        for stage in stages:
            stage()
        self._bring_home()

    def _bring_home(self) -> None:
        if self.method.is_loaded and self.devices.shards:
            self.devices.bring_home(self.method.network, keep=is_first_rank())
            if not is_first_rank():
                self.method.unload()

    def _select_model(self) -> None:
        select(
            self.model, self.data, self.method, self.evaluation, str(self.config.score),
            lambda network: self.measuring.predictor_of(network.to(self.devices.home)), self.console.say,
        )  # fmt: skip

    def _begin(self) -> dict[str, Any]:
        """Check what only the parts know, find the start, write the recipe; the description of the machine."""
        if self.parts.trainer.device.type == "cpu":
            keep_freed_memory()
        self.evaluation.refuse_unmeasured(str(self.config.score), self.method)
        if {"baseline", "evaluate"} & set(self.config.stages):
            self.measuring.refuse_unheld_out()
        if "fit" in self.config.stages:
            trainer = self.parts.trainer
            self.data.refuse_without_training()
            if trainer.needs_validation:
                trainer.refuse_without_validation(len(self.data.examples("validation")))
            self.start = Start.found(self.composition, self.parts, self.folder, self.console.say)
            if is_first_rank():
                returned(self.model.lineage(), dict, self.model.lineage)  # written with the artifact, after all steps
                adapted = check_adaptation(self.method.model, self.adaptation)
                if adapted is not None:
                    self.method.describe(adapted)
        self.baseline_counts = baseline_counts(self.config, self.folder)
        described = environment.describe(seed=int(self.config.seed))
        if not is_first_rank():
            return described
        self.folder.write_recipe(self.composition.given)
        self.folder.write_resolved(OmegaConf.to_container(self.config))  # type: ignore[arg-type]
        self.folder.write_environment(described)
        if self.composition.precision:
            self.console.say(f"precision: {self.composition.precision}")
        for note in self.composition.notes:
            self.console.say(f"note: {note}")
        for _, lines in self.plugins.ask("luthier_report", config=self.config):
            for line in lines:
                self.console.say(line)
        return described

    def search(self) -> None:
        """Search for a prompt on the validation split, on the first rank; the others take over what it chose."""
        prompt = self.parts.prompt
        if is_first_rank():
            self.console.say("searching for a prompt on the validation split …")
            self.method.load()
            examples = self.data.examples("validation")
            prompt.choose(ValidationPromptScorer(self.evaluation, self.predictor, examples, str(self.config.score)))
        take_over(prompt, self.model.tokenizer, self.devices, chose=is_first_rank())
        if self.devices.shards and self.method.is_loaded:
            self.method.unload()  # what is adapted need not lie on this device whole

    def baseline(self) -> None:
        """Evaluate the model before training, unless the run that is resumed has done so."""
        if is_first_rank():
            self.before = self.measuring.known("before") if self.baseline_counts else None
        if self.devices.agree(self.before is not None):
            return
        self.before = self.measuring.evaluated("before", anew=True, untouched=True)
        if self.before is not None:
            self.measuring.refuse_unscored(self.before)
        if self.devices.shards:
            self.method.unload()  # what is adapted is a whole network

    def fit(self) -> None:
        """Train the weights that the adaptation makes trainable."""
        pl.seed_everything(int(self.config.seed), verbose=False)
        self.adaptation.learn(self.data.first_batches(), self.model.tokenizer)
        began = time.perf_counter()
        self._track()
        with_less = SmallerMicroBatches(self.data, self.method, self.folder, self.parts.stateful)
        self.end = with_less.until_it_fits(self._train, self.start.checkpoint, self.console.say)
        self.fit_seconds, self.trained = time.perf_counter() - began, True
        self._say_faults()
        resumed = self.start.resumed
        if resumed and self.end.step == resumed.then.step:
            resumed.refuse_without_steps(f"after step {self.end.step}: {self.end.stopped}")
        if is_first_rank():
            judged_by_others = "evaluate" not in self.config.stages or bool(self.data.examples("test"))
            self.method.warnings += course.warnings(
                self.end, keep_best=self.parts.trainer.keep_best, judged_by_others=judged_by_others
            )
            for line in course.sentences(self.end):
                self.console.say(line)

    def _train(self, start: Path | None) -> TrainingEnd:
        of_plugins = self.plugins.ask("luthier_callbacks", config=self.config)
        fit = self.parts.trainer.fit
        end = fit(
            self.method,
            self.data,
            self.folder,
            self.signals,
            loggers=self.parts.tracking.loggers,
            callbacks=[
                OfRun(self.composition, self.parts),
                *(callback for _, callbacks in of_plugins for callback in callbacks),
                *self.callbacks,
            ],
            gradient_checkpointing=bool(self.config.model.get("gradient_checkpointing")),
            start=start,
            score=(str(self.config.score), self.measuring.validation_score),
            stateful=self.parts.stateful,
        )
        return returned(end, TrainingEnd, fit)

    def _track(self) -> None:
        """Make the loggers, and give them the recipe."""
        recipe: Any = redact(OmegaConf.to_container(self.config))
        for logger in self.parts.tracking(self.folder):
            logger.log_recipe(recipe)
        self._say_faults()

    def _say_faults(self) -> None:
        if is_first_rank():
            for fault in self.parts.tracking.news():
                self.console.say(f"note: {fault}")

    def evaluate(self) -> None:
        """Evaluate the model as it is now on the examples of the baseline."""
        self.after = self.measuring.evaluated("after", untouched="fit" not in self.config.stages)

    def _finish(self, described: dict[str, Any]) -> float | None:
        kind = ("adapter" if self.adaptation.needs_base else "weights") if self.trained else ""
        outcome = RunOutcome(
            self.composition, self.parts, self.folder, self.before, self.after, self.trained, kind,
            self.fit_seconds, self.start.checkpoint, self.end,
        )  # fmt: skip
        write_artifact(outcome, described, self.predictor if self.trained else None)
        write_reports(outcome, described, self.plugins, self.console)
        self._say_faults()
        return self._write_score()

    def _write_score(self) -> float | None:
        name = str(self.config.score)
        measured = self.after if self.after is not None else self.before
        if measured is None:
            return None
        self.measuring.refuse_unscored(measured)
        value = measured[name].value
        self.folder.write_score(value, name)
        return value


class CorePlugin:
    """The core's own implementation of `luthier_run`, called last."""

    @hookimpl(trylast=True)
    def luthier_run(self, run: Run) -> float | None:
        return run.carry_out()
