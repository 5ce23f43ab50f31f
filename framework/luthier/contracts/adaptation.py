"""Which weights may move."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn

from luthier.errors import RecipeError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from luthier.contracts.batch import Batch
    from luthier.contracts.model import Model


class Adaptation(Protocol):
    """Which weights may move. Inherit it: what most adaptations leave as it is has a body here.

    `FullFineTuning`, `NamedWeightsAdaptation` and `PeftAdaptation` have the ways of saving that most of them share.

    - *Given*: `__call__` the network of the model, float32 or as the recipe loads it, on the CPU or on meta.
    - *Returns*: the network to train, with `requires_grad` of exactly the weights that move; `save` writes
      safetensors that `load` puts back bit by bit.
    - *Called*: once, when the stage `fit` begins, after `learn`; on meta for a plan and for checks of the recipe.
      `save` when the artifact is written, `load` and `merge` by whatever opens it.
    - *Ranks*: on every rank alike, inside the context of the strategy; `save` on the first.
    - *Raises*: RecipeError for what mathematics or the network does not allow, such as `merge`; anything else is a
      fault.
    - *Resume*: the trained weights are restored by their names. What `callbacks` change is in their `state_dict`;
      settings that a resumed run may change are in `resumable`.
    - *Nested*: a keyword-only parameter filled by an answer of its own folder, `finder: mine` in the defaults,
      answered by `adaptation/finder/mine.yaml`.
    """

    needs_base: bool
    """Whether what `save` writes is of use only beside the weights that it was made for.

    Where not, `save` writes a whole model that plain transformers reads, as `FullFineTuning` does.
    """

    shaping_base: tuple[str, ...] = ()
    """The settings in which two runs must agree to take turns on one base, as they change it or how it computes."""

    resumable: tuple[str, ...] = ()
    """The settings that may change where a training goes on from a checkpoint: those that no weight depends on."""

    @abstractmethod
    def __call__(self, network: nn.Module) -> nn.Module:
        """The network with only the chosen weights trainable, new ones inserted where the method needs them.

        It may lie on meta, where nothing has values: only its shapes are asked for then.
        """

    @abstractmethod
    def save(self, network: nn.Module, folder: Path) -> None:
        """Write what moved, and nothing else, as safetensors."""

    @abstractmethod
    def load(self, model: Model, folder: Path) -> nn.Module:
        """An adapted network with what `save` wrote put back; `model` loads only where its weights are needed."""

    @abstractmethod
    def merge(self, network: nn.Module) -> nn.Module:
        """A plain network with the same logits; RecipeError where mathematics does not allow it."""

    def learn(self, batches: Iterable[Batch], tokenizer: PreTrainedTokenizerBase) -> None:
        """See batches of the training split before the network is adapted; they are made as they are asked for."""

    def rate(self, name: str) -> float:
        """The factor of the learning rate at which the trainable weight of this name moves."""
        return 1.0

    def penalty(self, network: nn.Module) -> Tensor | None:
        """What the adaptation adds to the mean loss while training, a scalar; None is nothing."""
        return None

    def callbacks(self) -> list[Any]:
        """Lightning callbacks of the training, such as one that acts after each optimizer step.

        What is kept of a training may be an earlier step (`trainer.keep_best`): its weights are loaded before
        `on_fit_end`, and `load_state_dict` is given the state of that step.
        """
        return []

    def add(self, network: nn.Module, folder: Path, name: str) -> None:
        """Put what another run of this adaptation saved beside what is there; RecipeError where only one fits."""
        raise RecipeError(
            f"{type(self).__name__} does not keep several adapters on one network.",
            hint="Load each artifact by itself.",
        )

    def use(self, network: nn.Module, name: str | None) -> None:
        """Answer with the adapter of this name from now on, or with none of them; the run's own is `default`."""
        raise RecipeError(
            f"{type(self).__name__} is part of its network and cannot be switched.",
            hint="Load the artifact and its base by themselves.",
        )
