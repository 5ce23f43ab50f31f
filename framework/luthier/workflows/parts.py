"""The one wiring: builds the parts of a checked recipe and passes each the parts that it depends on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from luthier.config.annotation_names import evaluated, names_at
from luthier.config.checks import PARTS, targets_in
from luthier.config.conformance import refuse_misfit
from luthier.config.instantiate import instantiate
from luthier.contracts.trust import Trust
from luthier.errors import LuthierError
from luthier.plugins.returned import held

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from transformers import PreTrainedTokenizerBase

    from luthier.contracts.adaptation import Adaptation
    from luthier.contracts.examples import Source
    from luthier.contracts.model import Model
    from luthier.contracts.prompt import Prompt
    from luthier.contracts.training import StatefulPart
    from luthier.data.module import Data
    from luthier.evaluation.evaluation import Evaluation
    from luthier.records.folder import RunFolder
    from luthier.training.method import Method
    from luthier.training.tracking import GuardedTracker, Tracker
    from luthier.training.trainer import Trainer


@dataclass(frozen=True)
class Parts:
    """The parts that a recipe names, built but with nothing loaded or read yet.

    `folder` is that of the run, None where nothing is to be written: faulty rows are skipped instead of quarantined.
    """

    config: DictConfig
    """The checked and resolved recipe."""
    source: Source
    """Where examples come from."""
    model: Model
    """Where the network comes from."""
    adaptation: Adaptation
    """Which weights may move."""
    prompt: Prompt
    """How an example becomes text."""
    method: Method
    """The loss."""
    trainer: Trainer
    """Devices, precision and steps."""
    tracking: GuardedTracker
    """Gives the loggers of a run in this folder."""
    evaluation: Evaluation
    """What is measured before and after."""
    folder: RunFolder | None = None
    trust: Trust = field(default_factory=Trust)
    """What the user vouched for."""
    stateful: Mapping[str, StatefulPart] = field(default_factory=dict)
    """Parts that have a state, nested ones too, by their paths in the recipe; what the network holds is none."""
    tokenizer: PreTrainedTokenizerBase | None = None
    """That of an artifact, which has its own; None: the model's."""

    @cached_property
    def data(self) -> Data:
        """The source's examples, prompted, encoded and packed; building it loads the model's tokenizer."""
        from luthier.data.content_hashes import hash_of_encoding

        method = OmegaConf.to_container(self.config.method, resolve=True)
        tokenizer = self.tokenizer or tokenizer_of(self.model)
        targets = [str(node["_target_"]) for _, node in targets_in(method)]
        built: Data = instantiate(
            self.config.batch, self.source, self.prompt, self.method.encode, tokenizer,
            int(self.config.seed), self.folder.path if self.folder else None, hash_of_encoding(method, targets),
            self.method.reads_texts_apart, self.method.preparation, self.method.learn, trust=self.trust,
        )  # fmt: skip
        return built


def tokenizer_of(model: Model) -> PreTrainedTokenizerBase:
    """The tokenizer of a model; PluginError that names the model where it is none."""
    tokenizer = model.tokenizer
    if not hasattr(tokenizer, "convert_ids_to_tokens"):
        from transformers import PreTrainedTokenizerBase

        held(model, "tokenizer", PreTrainedTokenizerBase)
    return tokenizer


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
    made: dict[str, Any] = {}
    problems: list[LuthierError] = []
    builders = {name: partial(part, config, trust, name, quarantine=folder is not None, made=made) for name in PARTS}

    builders["tracking"] = partial(_guarded, str(config.tracking.get("_target_")), builders["tracking"])

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
    return Parts(config=config, source=source, folder=folder, trust=trust, stateful=_stateful(made), **built), []


def _guarded(target: str, build: Callable[[], Tracker]) -> GuardedTracker:
    from luthier.training.tracking import GuardedTracker

    return GuardedTracker(target.rpartition(".")[2], build)


def _stateful(made: Mapping[str, Any]) -> dict[str, StatefulPart]:
    from torch import nn

    from luthier.contracts.training import has_state

    return {path: one for path, one in made.items() if not isinstance(one, nn.Module | type) and has_state(one)}


def part(
    config: DictConfig,
    trust: Trust,
    name: str,
    *others: Any,
    quarantine: bool = False,
    made: dict[str, Any] | None = None,
) -> Any:
    """One part of a checked recipe, for what needs no other: an artifact needs no method, a comparison no model.

    `others` are the parts that it is handed; what is built goes into `made`. A source passes over rows for the
    quarantine unless there is one.
    """
    node = without_quarantine(config[name]) if name == "data" and not quarantine else config[name]
    built = instantiate(node, *others, trust=trust, made=made)
    refuse_misfit(built, _contract(name), name)
    return built


def _contract(name: str) -> Any:
    """The type that a part of a recipe has, of which the parts that others hold are told by their parameters."""
    from luthier.contracts.training import Optimizer

    held_by_others = {"data": Parts.__annotations__["source"], "optimizer": Optimizer}
    return evaluated(held_by_others.get(name, Parts.__annotations__.get(name, Any)), [names_at(__name__)])


def without_quarantine(config: Any) -> Any:
    """The configuration of a source that writes nothing: faulty rows are skipped instead of quarantined."""
    if OmegaConf.is_config(config):
        return without_quarantine(OmegaConf.to_container(config, resolve=True))
    if isinstance(config, dict):
        plain = {key: without_quarantine(value) for key, value in config.items()}
        return {**plain, **({"on_bad_row": "skip"} if plain.get("on_bad_row") == "quarantine" else {})}
    return [without_quarantine(one) for one in config] if isinstance(config, list) else config
