"""The run that a plugin's `luthier_run` is shown."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from luthier.contracts.adaptation import Adaptation
    from luthier.contracts.model import Model
    from luthier.contracts.scores import Score
    from luthier.contracts.training import Criterion


class MeasuredScores(Protocol):
    """Scores by name."""

    def __getitem__(self, name: str) -> Score: ...

    def items(self) -> Iterable[tuple[str, Score]]: ...


class ActiveRun(Protocol):
    """A run while it is carried out: its checked recipe, its parts, its folder, and what it has measured so far."""

    @property
    def name(self) -> str:
        """The name of the run's folder."""

    @property
    def path(self) -> Path:
        """The run's folder."""

    @property
    def config(self) -> DictConfig:
        """The checked recipe, read-only."""

    @property
    def model(self) -> Model:
        """Where the network comes from."""

    @property
    def adaptation(self) -> Adaptation:
        """Which weights may move."""

    @property
    def method(self) -> Criterion:
        """The loss and the measures of the run."""

    @property
    def data(self) -> Any:
        """A LightningDataModule with `examples(split)`."""

    @property
    def before(self) -> MeasuredScores | None:
        """The scores of the stage `baseline`, None until it has measured."""

    @property
    def after(self) -> MeasuredScores | None:
        """The scores of the stage `evaluate`, None until it has measured."""

    @property
    def trained(self) -> bool:
        """Whether the stage `fit` has ended in this run."""
