"""Bases of adaptations: full fine-tuning, adaptations saved by weight name, and those of PEFT."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from luthier.contracts.adaptation import Adaptation
from luthier.errors import RecipeError, ResourceError
from luthier.errors.suggestions import nearest
from luthier.models.added_tokens import with_trained_tokens
from luthier.models.auto_class import is_encoder
from luthier.models.encoder_heads import with_trained_head
from luthier.models.experts.layers import freeze_routers
from luthier.models.head_weights import head_modules
from luthier.models.modalities import freeze_other_modalities
from luthier.models.peft_modules import choose_modules
from luthier.models.peft_names import as_read, write_readable_names
from luthier.models.peft_reading import refused_by_peft
from luthier.models.sequence_classification import has_small_head, is_tagger
from luthier.models.tied import state_ties, untie_adapted
from luthier.models.wrappers import unwrapped

if TYPE_CHECKING:
    from peft import PeftConfig
    from peft.tuners.tuners_utils import BaseTuner

    from luthier.contracts.model import Model


class FullFineTuning(Adaptation):
    """Full fine-tuning: every weight is trained, and the whole network is saved as transformers writes it.

    Towers and projectors that no text passes through stay as they are, and so do the routers of mixtures of experts,
    unless `routers`.
    """

    needs_base = False
    routers = False
    """Whether the weights that give tokens to experts are trained, too."""

    def __init__(self, *, routers: bool = False) -> None:
        self.routers = routers

    def __call__(self, network: nn.Module) -> nn.Module:
        freeze_other_modalities(network.requires_grad_(True))
        return freeze_routers(network, unless=self.routers)

    def save(self, network: nn.Module, folder: Path) -> None:
        from luthier.models.loading import without_progress_bars

        with without_progress_bars():
            network.save_pretrained(folder)  # type: ignore[operator]

    def load(self, model: Model, folder: Path) -> nn.Module:
        from luthier.models.folder import Folder

        return Folder(path=str(folder), dtype="auto").network()

    def merge(self, network: nn.Module) -> nn.Module:
        return network


class NamedWeightsAdaptation(Adaptation):
    """An adaptation that saves exactly its trainable weights, by their names.

    Subclasses choose or insert them in `__call__`, which must do the same each time; and say how to `merge`.
    """

    needs_base = True
    file = "moved.safetensors"
    """The file of the artifact that holds the weights."""

    def save(self, network: nn.Module, folder: Path) -> None:
        moved = {name: weight.detach().contiguous() for name, weight in _trainable(network).items()}
        save_file(moved, folder / self.file)

    def load(self, model: Model, folder: Path) -> nn.Module:
        network = with_trained_head(self(model.network()))
        here, there = _trainable(network), load_file(folder / self.file)
        if {name: weight.shape for name, weight in here.items()} != {
            name: moved.shape for name, moved in there.items()
        }:
            raise ResourceError(
                f"{self.file} holds other weights than {type(self).__name__} moves in this network.", where=str(folder)
            )
        with torch.no_grad():
            for name, weight in here.items():
                weight.copy_(there[name])
        return network


ADAPTER_FILE = "adapter_model.safetensors"
ADAPTER_NAME = "default"
"""What PEFT calls the adapter that a run trains."""


def count(weights: Iterable[nn.Parameter]) -> int:
    """The number of parameters that weights hold; a 4-bit weight counts with its full shape."""
    shapes = (getattr(getattr(weight, "quant_state", None), "shape", weight.shape) for weight in weights)
    return sum(shape.numel() for shape in shapes)


def _trainable(network: nn.Module) -> dict[str, nn.Parameter]:
    return {name: weight for name, weight in network.named_parameters() if weight.requires_grad}


class PeftAdaptation(Adaptation):
    """An adaptation of PEFT, given by a subclass's `peft_config`. Its artifacts load with plain PEFT.

    New weights are kept in float32, also beside a network in bfloat16.
    """

    needs_base = True

    def peft_config(self, network: nn.Module) -> PeftConfig:
        """The configuration with which PEFT adapts this network; each subclass defines it."""
        raise TypeError(f"{type(self).__name__} does not say its peft_config")

    def __call__(self, network: nn.Module, added_tokens: Sequence[int] = ()) -> nn.Module:
        return self.adapted(network, self.peft_config(network), added_tokens)

    def adapted(self, network: nn.Module, config: PeftConfig, added_tokens: Sequence[int] = ()) -> nn.Module:
        """The network adapted by PEFT, its routers as they were.

        RecipeError for names that fit no module, and with PEFT's own reason where PEFT refuses.
        """
        from peft import get_peft_model

        if has_small_head(network):  # PEFT then trains and saves the new head as it is
            config.task_type = "TOKEN_CLS" if is_tagger(network) else "SEQ_CLS"
            inner: Any = unwrapped(network)
            if is_encoder(inner.config) or is_tagger(network):
                cast("Any", config).modules_to_save = [name.rpartition(".")[2] for name in head_modules(inner)]
        elif is_encoder(cast("Any", unwrapped(network)).config):
            config.task_type = "FEATURE_EXTRACTION"
        config = choose_modules(config, network)
        try:
            return freeze_routers(get_peft_model(network, with_trained_tokens(config, added_tokens)), unless=True)
        except (ValueError, TypeError) as error:
            if isinstance(error, TypeError) and "not supported" not in str(error):  # of a kind of layer
                raise
            raise refused_by_peft(error, network) from error
        except AttributeError as error:
            if error.name != "prepare_inputs_for_generation":
                raise
            raise RecipeError(
                f"PEFT adapts networks that transformers generates with, and {type(unwrapped(network)).__name__} has "
                "no prepare_inputs_for_generation.",
                where="adaptation",
                hint="Let its class inherit GenerationMixin of transformers, or choose adaptation=full.",
            ) from error

    def save(self, network: nn.Module, folder: Path) -> None:
        # Not "auto": that saves tables of the base, too, wherever new tokens were trained.
        network.save_pretrained(folder, save_embedding_layers=False)  # type: ignore[operator]
        write_readable_names(network, folder / ADAPTER_FILE, ADAPTER_NAME)

    def base(self, model: Model) -> nn.Module:
        """The network on which PEFT puts the adapter that was saved."""
        return model.network()

    def load(self, model: Model, folder: Path) -> nn.Module:
        return with_saved_adapter(self.base(model), folder)

    def merge(self, network: nn.Module) -> nn.Module:
        """As PEFT merges it; embeddings and LM head that were tied, and of which one is adapted, are untied first."""
        untie_adapted(network)
        merged = cast(nn.Module, network.merge_and_unload())  # type: ignore[operator]
        state_ties(merged)
        return merged

    def add(self, network: nn.Module, folder: Path, name: str) -> None:
        if name in network.peft_config:  # type: ignore[operator]
            raise RecipeError(f"There is an adapter {name!r} already.", hint="Give it another name.")
        try:
            network.load_adapter(str(folder), adapter_name=name)  # type: ignore[operator]
        except ValueError as error:  # such as random matrices that all adapters of a network share
            raise RecipeError(f"PEFT does not put it beside the first: {error}", where=str(folder)) from error
        _fill(network, folder, name)

    def use(self, network: nn.Module, name: str | None) -> None:
        known = list(network.peft_config)  # type: ignore[arg-type]
        if name is not None and name not in known:
            raise RecipeError(f"There is no adapter {name!r}.", hint=nearest(name, known, "There are"))
        tuner = cast("BaseTuner", network.base_model)
        if name is None:
            tuner.disable_adapter_layers()
            return
        tuner.enable_adapter_layers()
        network.set_adapter(name)  # type: ignore[operator]


def with_saved_adapter(network: nn.Module, folder: Path) -> nn.Module:
    """The network with the adapter of a folder, every tensor of its file in place; ResourceError where one is not.

    PEFT reads the names in a file as those of transformers 4 where an architecture has changed since, and may then
    leave weights whose names are of now as they began, under a warning.
    """
    from peft import PeftModel

    if not (folder / ADAPTER_FILE).is_file():  # PEFT would look for it on a hub
        raise ResourceError(
            f"The adapter in {folder} has no weights: there is no {ADAPTER_FILE}.",
            where=str(folder),
            hint="Put the file back from a copy, or train the adapter again.",
        )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        adapted = cast(nn.Module, PeftModel.from_pretrained(network, str(folder)))
    filled = _fill(adapted, folder, ADAPTER_NAME)
    for one in caught:
        if not filled or "Found missing adapter keys" not in str(one.message):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return adapted


def _fill(network: nn.Module, folder: Path, adapter: str) -> bool:
    """Copy each tensor of the file to the weight of its name; False where the file has names of another time."""
    from peft import get_peft_model_state_dict

    file = folder / ADAPTER_FILE
    saved = load_file(file)
    here = get_peft_model_state_dict(network, adapter_name=adapter, save_embedding_layers=False)
    if here.keys() != saved.keys():
        saved = as_read(network, saved, network.peft_config[adapter], adapter)  # type: ignore[index]
    absent, unknown = sorted(here.keys() - saved.keys()), saved.keys() - here.keys()
    if absent and not unknown:
        raise ResourceError(f"{file.name} lacks {len(absent)} weights, {absent[0]} for one.", where=str(file))
    if absent:
        return False
    with torch.no_grad():
        for name, weight in here.items():
            weight.copy_(saved[name])
    return True
