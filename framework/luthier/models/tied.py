"""Weights that two modules share, and that no longer are one where only one of the two was changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch import nn

from luthier.models.wrappers import unwrapped

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def untie_adapted(network: nn.Module) -> bool:
    """Give each module a weight of its own where PEFT adapts one of several that share it; whether that was so.

    The configuration says so, too: what is merged into one of them must not reach the others, in memory or in files.
    Rows of added tokens are the same in all of them, so that these stay tied.
    """
    from peft.tuners.trainable_tokens import TrainableTokensLayer
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers: list[Any] = [layer for layer in network.modules() if isinstance(layer, BaseTunerLayer)]
    adapted = {id(layer.get_base_layer()) for layer in layers if type(layer) is not TrainableTokensLayer}
    pairs = list(_tied_pairs(unwrapped(network)))
    if not any(_weight(one) is _weight(other) and {id(one[0]), id(other[0])} & adapted for one, other in pairs):
        return False
    _untie(unwrapped(network))
    return True


def state_ties(network: nn.Module) -> None:
    """Let the configuration say that weights are not tied where they differ, as after one of them was replaced."""
    for one, other in _tied_pairs(network):
        ours, theirs = _weight(one), _weight(other)
        if ours is not theirs and not (ours.shape == theirs.shape and bool((ours == theirs).all())):
            _untie(network)
            return


_Owner = tuple[nn.Module, str]
"""A module, and the name of its weight."""


def _weight(owner: _Owner) -> nn.Parameter:
    module, name = owner
    weight: nn.Parameter = getattr(module, name)
    return weight


def _tied_pairs(network: nn.Module) -> Iterator[tuple[_Owner, _Owner]]:
    """The owners of each pair of weights that transformers ties by the network's configuration."""
    names: dict[str, str] = getattr(network, "all_tied_weights_keys", None) or {}
    for one, other in names.items():
        try:
            yield _owner(network, one), _owner(network, other)
        except AttributeError:  # the network has lost one of them, as the head of one that scores
            continue


def _owner(network: nn.Module, name: str) -> _Owner:
    path, _, weight = name.rpartition(".")
    module = network.get_submodule(path)
    while hasattr(module, "base_layer"):
        module = module.base_layer  # type: ignore[assignment]
    getattr(module, weight)
    return module, weight


def _untie(network: nn.Module) -> None:
    for (module, name), other in _tied_pairs(network):
        weight = getattr(module, name)
        if weight is _weight(other):
            setattr(module, name, nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad))
    for config in _configurations(network):
        if getattr(config, "tie_word_embeddings", False):
            config.tie_word_embeddings = False
    plain: PreTrainedModel = network  # type: ignore[assignment]
    plain.all_tied_weights_keys = {}


def _configurations(network: Any) -> list[Any]:
    """Those that say whether the embeddings are tied: of the whole network, of its text, and of each part of it."""
    parts = [part.config for part in network.modules() if hasattr(part, "all_tied_weights_keys")]
    return [network.config, network.config.get_text_config(), *parts]
