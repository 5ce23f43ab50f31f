"""Learned rescaling of keys, values and feed-forward activations: (IA)³."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from torch import nn
from transformers.pytorch_utils import Conv1D

from luthier.api import PeftAdaptation, RecipeError, unwrapped
from luthier_adapters.module_finder import Sublayer, find_sublayers

if TYPE_CHECKING:
    from peft import IA3Config, PeftConfig


class Ia3(PeftAdaptation):
    """Freeze the network and learn factors for its keys, its values and the inner activations of feed-forward.

    (IA)³, Liu et al., 2022, section 3.3. All factors start as 1. Where one matrix computes queries, keys and
    values, the queries are rescaled as well. `keys_values` and `feed_forward` are ends of module names, such as
    [self_attn.k_proj] and [mlp.down_proj]; null finds them in the layers, whatever the architecture.
    """

    def __init__(self, *, keys_values: list[str] | None = None, feed_forward: list[str] | None = None) -> None:
        self.keys_values, self.feed_forward = keys_values, feed_forward

    def adapted(self, network: nn.Module, config: PeftConfig, added_tokens: Sequence[int] = ()) -> nn.Module:
        try:
            return super().adapted(network, config, added_tokens)
        except RecipeError as error:
            settings = {"keys_values": self.keys_values, "feed_forward": self.feed_forward}
            raise _own_setting(error, settings) from error

    def peft_config(self, network: nn.Module) -> IA3Config:
        from peft import IA3Config

        keys_values, feed_forward = self.keys_values, self.feed_forward
        if keys_values is None or feed_forward is None:
            by_role = find_sublayers(network)
            keys_values = _keys_values(by_role.attention) if keys_values is None else keys_values
            width = int(cast(Any, unwrapped(network)).config.get_text_config().hidden_size)
            feed_forward = _output_matrices(by_role.feed_forward, width) if feed_forward is None else feed_forward
        return IA3Config(
            task_type="CAUSAL_LM",
            target_modules=[*keys_values, *feed_forward],
            feedforward_modules=feed_forward,
            fan_in_fan_out=any(isinstance(module, Conv1D) for module in network.modules()),
        )


def _own_setting(error: RecipeError, settings: dict[str, list[str] | None]) -> RecipeError:
    """An error about a name, at the setting that has it."""
    named = [setting for setting, names in settings.items() if any(repr(name) in error.message for name in names or ())]
    error.where = f"adaptation.{named[0]}" if named and error.where == "adaptation.targets" else error.where
    return error


def _keys_values(attention: list[Sublayer]) -> list[str]:
    """The matrices of attention but the output projection, which is the last, and those of queries alone."""
    names: set[str] = set()
    for sublayer in attention:
        inputs = [name for name, _ in _matrices(sublayer)[:-1]]
        others = [name for name in inputs if not name.rpartition(".")[2].lower().startswith("q")]
        names.update(others or inputs)
    return _sorted_names(names, "keys_values")


def _output_matrices(feed_forward: list[Sublayer], width: int) -> list[str]:
    """The matrices that project the inner activations of feed-forward back to hidden states of this width."""
    names: set[str] = set()
    for sublayer in feed_forward:
        names.update([name for name, module in _matrices(sublayer) if _out_features(module) == width][-1:])
    return _sorted_names(names, "feed_forward")


def _matrices(sublayer: Sublayer) -> list[tuple[str, nn.Module]]:
    """With their names within the layer, in the order in which the architecture has them."""
    modules = sublayer.module.named_modules()
    linear = [(name, module) for name, module in modules if isinstance(module, (nn.Linear, Conv1D))]
    return [(f"{sublayer.name}.{name}".rstrip("."), module) for name, module in linear]


def _out_features(module: nn.Module) -> int:
    return int(module.nf if isinstance(module, Conv1D) else cast(nn.Linear, module).out_features)


def _sorted_names(names: set[str], setting: str) -> list[str]:
    """The names in order; RecipeError for none, which names the setting that lists them."""
    if not names:
        raise RecipeError(
            f"No matrix of {setting.replace('_', ' and ')} was found in the layers of this network.",
            where=f"adaptation.{setting}",
            hint=f"Name them: 'adaptation.{setting}=[…]'.",
        )
    return sorted(names)
