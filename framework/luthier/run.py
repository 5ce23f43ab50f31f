"""One run: measure, fit, measure again, keep what came out, and say it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl

from luthier import artifact
from luthier.errors import RecipeError
from luthier.hookspecs import hookimpl
from luthier.nearest import nearest
from luthier.run_folder import RunFolder
from luthier.subject import Subject

if TYPE_CHECKING:
    from luthier.compose import Composition
    from luthier.console import Console
    from luthier.data.module import Data
    from luthier.evaluate.evaluation import Evaluation
    from luthier.evaluate.scores import Scores
    from luthier.method import Method
    from luthier.parts import Adaptation, Model, Prompt
    from luthier.plugins import Plugins
    from luthier.training.trainer import Trainer


@dataclass
class Run:
    """The parts of a run and what it has found so far; `stages` are carried out in the recipe's order."""

    composition: Composition
    folder: RunFolder
    plugins: Plugins
    console: Console
    model: Model
    adaptation: Adaptation
    prompt: Prompt
    method: Method
    data: Data
    trainer: Trainer
    tracking: Callable[[], list[Any]]
    evaluation: Evaluation
    before: Scores | None = None
    after: Scores | None = None
    started: float = field(default_factory=time.time)

    @property
    def subject(self) -> Subject:
        """The network as it is now."""
        network = self.method.network.to(self.trainer.device)
        return Subject(network, self.model.tokenizer, self.prompt, self.method, self.trainer.autocast)

    def baseline(self) -> None:
        """Measure the model as it comes."""
        self.method.load()
        self.before = self._measured()

    def fit(self) -> None:
        """Train what the adaptation lets move."""
        pl.seed_everything(int(self.composition.config.seed), verbose=False)
        self.fitted = self.trainer.fit(self)

    def evaluate(self) -> None:
        """Measure the customised model on the same examples."""
        self.method.configure_model()
        self.after = self._measured()

    def _measured(self) -> Scores:
        return self.evaluation(self.subject, {"test": self.data.examples("test")})
