"""The one wiring: builds the parts of a checked recipe and passes each the parts that it depends on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from luthier.config.checks import PARTS
from luthier.config.instantiate import instantiate
from luthier.contracts.trust import Trust
from luthier.errors import LuthierError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from luthier.contracts.adaptation import Adaptation
    from luthier.contracts.examples import Source
    from luthier.contracts.model import Model
    from luthier.contracts.prompt import Prompt
    from luthier.data.module import Data
    from luthier.evaluation.evaluation import Evaluation
    from luthier.records.folder import RunFolder
    from luthier.training.method import Method
    from luthier.training.trainer import Trainer


@dataclass(frozen=True)
class Parts:
    """The parts that a recipe names, built but with nothing loaded or read yet.

    `folder` is that of the run, None where nothing is to be written: faulty rows are skipped instead of quarantined.
    """

    config: DictConfig
    source: Source
    model: Model
    adaptation: Adaptation
    prompt: Prompt
    method: Method
    trainer: Trainer
    tracking: Callable[[RunFolder], list[Any]]
    evaluation: Evaluation
    folder: RunFolder | None = None
    trust: Trust = field(default_factory=Trust)

    @cached_property
    def data(self) -> Data:
        """The source's examples, prompted, encoded and packed; building it loads the model's tokenizer."""
        built: Data = instantiate(
            self.config.batch, self.source, self.prompt, self.method.encode, self.model.tokenizer,
            int(self.config.seed), self.folder.path if self.folder else None, self.method.preparation,
        )  # fmt: skip
        return built


def assemble(config: DictConfig, trust: Trust, folder: RunFolder | None = None) -> Parts:
    """Build the parts of a checked recipe; the first error of a part ends it."""
    parts, problems = attempt(config, trust, folder)
    if parts is None:
        raise problems[0]
    return parts


def attempt(
    config: DictConfig, trust: Trust, folder: RunFolder | None = None
) -> tuple[Parts | None, list[LuthierError]]:
    """Build the parts, or collect the errors of all of them, each with its part in `where`."""
    built: dict[str, Any] = {}
    problems: list[LuthierError] = []
    builders = {build: partial(instantiate, config[build], trust=trust) for build in PARTS}
    builders["data"] = partial(instantiate, config.data if folder else without_quarantine(config.data), trust=trust)

    def build(name: str, *others: str) -> None:
        if any(other not in built for other in others):
            return
        try:
            built[name] = builders[name](*(built[other] for other in others))
        except LuthierError as error:
            error.where = error.where or name
            problems.append(error)

    for name in ("model", "adaptation", "prompt", "data", "optimizer", "trainer", "tracking", "evaluation"):
        build(name)
    build("method", "model", "adaptation", "optimizer")
    if problems:
        return None, problems
    source, _ = built.pop("data"), built.pop("optimizer")
    return Parts(config=config, source=source, folder=folder, trust=trust, **built), []


def without_quarantine(config: Any) -> Any:
    """The configuration of a source that writes nothing: faulty rows are skipped instead of quarantined."""
    if OmegaConf.is_config(config):
        return without_quarantine(OmegaConf.to_container(config, resolve=True))
    if isinstance(config, dict):
        plain = {key: without_quarantine(value) for key, value in config.items()}
        return {**plain, **({"on_bad_row": "skip"} if plain.get("on_bad_row") == "quarantine" else {})}
    return [without_quarantine(one) for one in config] if isinstance(config, list) else config
