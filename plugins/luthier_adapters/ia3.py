"""Learned rescaling of what a network computes on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from torch import nn
from transformers.pytorch_utils import Conv1D

from luthier.api import PeftAdaptation, RecipeError, unwrapped
from luthier_adapters.module_finder import Site, sites

if TYPE_CHECKING:
    from peft import IA3Config


class Ia3(PeftAdaptation):
    """Freeze the network and learn factors for its keys, its values and what feed-forward computes inside.

    (IA)³, Liu et al., 2022, section 3.3. All factors start as 1. Where an architecture makes queries, keys and values
    at once, its queries are rescaled as well. `keys_values` and `feed_forward` are ends of module names, such as
    [self_attn.k_proj] and [mlp.down_proj]; null finds them in the layers, whatever the architecture.
    """

    def __init__(self, *, keys_values: list[str] | None = None, feed_forward: list[str] | None = None) -> None:
        self.keys_values, self.feed_forward = keys_values, feed_forward

    def peft_config(self, network: nn.Module) -> IA3Config:
        from peft import IA3Config

        keys_values, feed_forward = self.keys_values, self.feed_forward
        if keys_values is None or feed_forward is None:
            found = sites(network)
            keys_values = _keys_values(found.attention) if keys_values is None else keys_values
            width = int(cast(Any, unwrapped(network)).config.get_text_config().hidden_size)
            feed_forward = _last(found.feed_forward, width) if feed_forward is None else feed_forward
        return IA3Config(
            task_type="CAUSAL_LM",
            target_modules=[*keys_values, *feed_forward],
            feedforward_modules=feed_forward,
            fan_in_fan_out=any(isinstance(module, Conv1D) for module in network.modules()),
        )


def _keys_values(attention: list[Site]) -> list[str]:
    """The matrices of attention but the last, which is its output, and those that make queries alone."""
    found = set()
    for site in attention:
        names = [name for name, _ in _matrices(site)[:-1]]
        others = [name for name in names if not name.rpartition(".")[2].lower().startswith("q")]
        found.update(others or names)
    return _or_refused(found, "keys_values")


def _last(feed_forward: list[Site], width: int) -> list[str]:
    """The matrices that turn what feed-forward computes inside into hidden states again."""
    found = set()
    for site in feed_forward:
        found.update([name for name, module in _matrices(site) if _outputs(module) == width][-1:])
    return _or_refused(found, "feed_forward")


def _matrices(site: Site) -> list[tuple[str, nn.Module]]:
    """With their names within the layer, in the order in which the architecture has them."""
    named = [(name, module) for name, module in site.module.named_modules() if isinstance(module, (nn.Linear, Conv1D))]
    return [(f"{site.place}.{name}".rstrip("."), module) for name, module in named]


def _outputs(module: nn.Module) -> int:
    return int(module.nf if isinstance(module, Conv1D) else cast(nn.Linear, module).out_features)


def _or_refused(found: set[str], setting: str) -> list[str]:
    if not found:
        raise RecipeError(
            f"The layers of this network do not tell which of their matrices make {setting.replace('_', ' and ')}.",
            where=f"adaptation.{setting}",
            hint=f"Name them: adaptation.{setting}=[…].",
        )
    return sorted(found)
