"""One run: measure, fit, measure again, keep what came out, and say it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch

from luthier.errors import RecipeError
from luthier.nearest import nearest
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
    """The parts of a run and what it has found so far."""

    composition: Composition
    folder: Path
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
    facts: dict[str, Any] = field(default_factory=dict)
