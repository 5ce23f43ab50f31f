"""Where a network comes from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from torch import nn

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from luthier.contracts.proof import Proof


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A network, with what adaptations must know of the model that it was loaded from.

    `added_tokens` are the ids whose rows of the embeddings are new and must be trained. `stacked_adapter`: the adapter
    of an earlier run stands beside the weights, which another adaptation would not save.
    """

    network: nn.Module
    """The network, on the CPU or on meta."""
    added_tokens: tuple[int, ...] = ()
    """Ids of tokens whose embeddings are new."""
    stacked_adapter: bool = False
    """Whether an adapter of an earlier run stands beside the weights."""

    @classmethod
    def of(cls, model: Model, network: nn.Module) -> LoadedModel:
        """The network with the model's attributes `added_tokens` and `stacked_adapter`, where it has them."""
        tokens, stacked = getattr(model, "added_tokens", ()), getattr(model, "stacked_adapter", False)
        return cls(network, tuple(tokens), bool(stacked))


class Model(Protocol):
    """Where a network comes from. Nothing is loaded before it is asked for.

    - *Given*: settings alone; a first positional parameter `trust: Trust`, where it may load code of its own.
    - *Returns*: a tokenizer with a chat template, a configuration, fresh networks with the same weights each time,
      and a lineage as JSON.
    - *Called*: `tokenizer` and `config` before data is read, `network` when a stage needs weights, `lineage` for
      the manifest; a plan asks for no weights.
    - *Ranks*: on every rank; downloads and conversions belong into `build_once`, which one process does.
    - *Raises*: RecipeError or DataError for files that are not there or not safe; anything else is a fault.
    - *Resume*: `network` is called as before and its weights are then replaced; what is chosen or made of data is
      restored by `restore` (`RestorableModel`).
    - *Nested*: a keyword-only parameter, `/model@NAME: tiny` in the defaults for a model inside of it, or `merging:
      mine` for a question of its own, answered by `model/merging/mine.yaml`.
    """

    @property
    @abstractmethod
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer, with its chat template and special tokens configured."""

    @property
    @abstractmethod
    def config(self) -> PretrainedConfig:
        """The architecture, without its weights."""

    @abstractmethod
    def network(self) -> nn.Module:
        """A fresh network on the CPU (or on meta inside a sharding strategy), in its own dtype."""

    @abstractmethod
    def lineage(self) -> dict[str, Any]:
        """What it is made of, for the manifest: the kind, the name, the revision, hashes."""


@runtime_checkable
class RestorableModel(Protocol):
    """A model that makes something of the data, such as new tokens, and takes it from the artifact of its run."""

    def restore(self, folder: Path) -> None:
        """Find in an artifact what was made; called before anything else is asked for."""


@runtime_checkable
class SelectsItself(Protocol):
    """A model that chooses what it is made of by how well that does. What it chose belongs into its lineage.

    An artifact of it is a `RestorableModel`: nothing is chosen there again.
    """

    def choose(self, judge: Callable[[nn.Module], float]) -> None:
        """Choose, before anything is loaded; `judge` gives the recipe's score of a network, the higher the better.

        The examples of a judgement are those of the validation split. The tokenizer does not depend on the choice.
        """


@runtime_checkable
class HasMetaNetwork(Protocol):
    """A model whose network is not what its configuration alone describes, such as one that is made of several."""

    def meta_network(self) -> nn.Module:
        """Its network on the meta device, where nothing has values."""


@runtime_checkable
class HasProofs(Protocol):
    """A model whose weights were merged or written before they were loaded, and compared with what they came from."""

    @property
    def proofs(self) -> Mapping[str, Proof]:
        """What the report calls each of them, with its proof; those of networks that were not loaded are missing."""


def proofs_of(*models: Model) -> dict[str, Proof]:
    """Those of models that another one is made of."""
    return {name: proof for model in models if isinstance(model, HasProofs) for name, proof in model.proofs.items()}


@runtime_checkable
class HasProcessor(Protocol):
    """A model with files beside its tokenizer that say how images or sound are prepared for it."""

    def processor_files(self) -> list[Path]:
        """These files, as transformers names them; they go into artifacts and exports."""
