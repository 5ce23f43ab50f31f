"""What the answers of this family share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from luthier.api import KNOWN_LAYERS, PeftAdaptation, RecipeError, virtual_token_count

if TYPE_CHECKING:
    from peft import PeftConfig

    from luthier.api import Model
    from luthier_prefix.network import Prefixed


class VirtualTokens(PeftAdaptation):
    """Freeze the network and learn tokens that nobody wrote, which it reads before every text.

    Subclasses say their `peft_config`, and their `wrapper` where it is not embeddings that they learn.
    """

    def __init__(self, *, virtual_tokens: int) -> None:
        if virtual_tokens < 1:
            raise RecipeError(
                f"There must be at least 1 virtual token, not {virtual_tokens}.", where="adaptation.virtual_tokens"
            )
        self.virtual_tokens = virtual_tokens

    def wrapper(self) -> type[Prefixed]:
        from luthier_prefix.network import TokensBefore

        return TokensBefore

    def __call__(self, network: nn.Module) -> nn.Module:
        return self._wrapped(network, self.peft_config(network))

    def save(self, network: nn.Module, folder: Path) -> None:
        with torch.no_grad():  # an LSTM rounds otherwise where it keeps what gradients need
            super().save(network, folder)

    def load(self, model: Model, folder: Path) -> nn.Module:
        from peft import PeftConfig

        config = PeftConfig.from_pretrained(str(folder))
        config.inference_mode = True
        network = self._wrapped(model.network(), config)
        network.load_adapter(str(folder), adapter_name="default")
        return network

    def merge(self, network: nn.Module) -> nn.Module:
        raise RecipeError(
            "Virtual tokens stand before a text and are part of no weight, so they cannot be merged into one.",
            where="adaptation",
            hint="Keep the adapter beside its model; plain PEFT loads it, too.",
        )

    def use(self, network: nn.Module, name: str | None) -> None:
        prefixed = cast("Prefixed", network)
        prefixed.switched_on = name is not None
        if name is not None:
            prefixed.set_adapter(name)

    def _wrapped(self, network: nn.Module, config: PeftConfig) -> Prefixed:
        text: Any = cast(Any, network).config.get_text_config()
        unknown = set(getattr(text, "layer_types", None) or ()) - KNOWN_LAYERS
        if unknown:
            raise RecipeError(
                f"Virtual tokens reach a text through attention alone, and {text.model_type} has layers of "
                f"{', '.join(sorted(unknown))}.",
                where="adaptation",
                hint="Choose an adaptation that changes weights, such as lora.",
            )
        if virtual_token_count(network):
            raise RecipeError(
                "The network reads virtual tokens already, and what stands before a text is one thing.",
                where="adaptation",
                hint="Start from the model that they were learned for, or choose an adaptation that changes weights.",
            )
        return self.wrapper()(network, config)
