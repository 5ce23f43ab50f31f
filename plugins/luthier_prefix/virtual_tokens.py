"""What the adaptations that train virtual (soft-prompt) tokens share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from luthier.api import ADAPTER_NAME, PeftAdaptation, RecipeError, is_reward_model, virtual_token_count

if TYPE_CHECKING:
    from peft import PeftConfig

    from luthier.api import Model
    from luthier_prefix.network import VirtualTokenModel


def has_embeddings_of_layers(config: Any) -> bool:
    """Whether each layer has an embedding of its own for each token of the vocabulary, as those of Gemma 3n and 4."""
    return bool(getattr(config, "hidden_size_per_layer_input", 0))


def refuse_embeddings_of_layers(network: nn.Module) -> None:
    """RecipeError where virtual tokens that are embeddings would lack those that each layer adds for a token."""
    text: Any = cast(Any, network).config.get_text_config()
    if has_embeddings_of_layers(text):
        raise RecipeError(
            f"Each layer of {text.model_type} adds an embedding of the token itself, which virtual tokens do not have.",
            where="adaptation",
            hint="Choose an adaptation that changes weights, such as lora.",
        )


@dataclass(kw_only=True, eq=False)
class VirtualTokens(PeftAdaptation):
    """Freeze the network and learn `virtual_tokens` virtual tokens, which are prepended to every text.

    Subclasses give their `peft_config`, and their `model_class` where they learn something else than embeddings.
    """

    virtual_tokens: int = 20

    def __post_init__(self) -> None:
        if self.virtual_tokens < 1:
            raise RecipeError(
                f"There must be at least 1 virtual token, not {self.virtual_tokens}.", where="adaptation.virtual_tokens"
            )

    def model_class(self) -> type[VirtualTokenModel]:
        """The wrapper of the network that reads the virtual tokens."""
        from luthier_prefix.network import SoftPromptModel

        return SoftPromptModel

    def __call__(self, network: nn.Module, added_tokens: Sequence[int] = ()) -> nn.Module:
        return self._wrapped(network, self.peft_config(network))

    def save(self, network: nn.Module, folder: Path) -> None:
        with torch.no_grad():  # an LSTM rounds differently when it stores activations for gradients
            super().save(network, folder)

    def load(self, model: Model, folder: Path) -> nn.Module:
        from peft import PeftConfig

        config = PeftConfig.from_pretrained(str(folder))
        config.inference_mode = True
        network = self._wrapped(model.network(), config)
        network.load_adapter(str(folder), adapter_name=ADAPTER_NAME)
        return network

    def merge(self, network: nn.Module) -> nn.Module:
        raise RecipeError(
            "Virtual tokens are inputs before a text and no change of a weight, so they cannot be merged.",
            where="adaptation",
            hint="Keep the adapter beside its model; plain PEFT loads it, too.",
        )

    def use(self, network: nn.Module, name: str | None) -> None:
        cast("VirtualTokenModel", network).use_virtual_tokens(name)

    def _wrapped(self, network: nn.Module, config: PeftConfig) -> VirtualTokenModel:
        if virtual_token_count(network):
            raise RecipeError(
                "The network has virtual tokens already, and only one set of them can be prepended to a text.",
                where="adaptation",
                hint="Start from the model that they were trained for, or choose an adaptation that changes weights.",
            )
        if is_reward_model(network):
            raise RecipeError(
                f"Virtual tokens are trained beside a network that stays as it is, and {type(network).__name__} has a "
                "head to train.",
                where="adaptation",
                hint="Choose an adaptation of its weights, such as lora or full.",
            )
        return self.model_class()(network, config)


def sizes(network: nn.Module) -> dict[str, Any]:
    """Layers, heads and width of the virtual tokens of a network, under the names of PEFT's configuration.

    PEFT reads them from a configuration by the names of some architectures, transformers under any.
    """
    text: Any = cast("Any", network).config.get_text_config()
    if absent := [name for name in ("num_hidden_layers", "hidden_size") if getattr(text, name, None) is None]:
        raise RecipeError(
            f"The configuration of {text.model_type} does not say {' and '.join(absent)}, which virtual tokens need.",
            where="adaptation",
            hint="Map its own names to those in the attribute_map of its class.",
        )
    heads = text.to_dict().get("num_attention_heads") or getattr(text, "num_attention_heads", None) or 1
    return {
        "num_layers": text.num_hidden_layers,
        "num_attention_heads": heads,
        "token_dim": text.hidden_size,
    }


def soft_prompt_sizes(network: nn.Module) -> dict[str, Any]:
    """`sizes` of virtual tokens that are embeddings, which may be narrower than the layers behind them."""
    table: Any = cast("Any", network).get_input_embeddings()
    return sizes(network) | {"token_dim": int(table.weight.shape[-1])}
