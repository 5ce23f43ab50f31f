"""Prefix tuning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

from torch import nn

from luthier.api import RecipeError
from luthier_prefix.virtual_tokens import VirtualTokens

if TYPE_CHECKING:
    from peft import PrefixTuningConfig

    from luthier_prefix.network import Prefixed


class Prefix(VirtualTokens):
    """Freeze the network and learn the keys and values of tokens before the text, in every layer (Li & Liang, 2021).

    With `reparameterise` they come out of a two-layer perceptron over one embedding for each token, `hidden` wide
    (their equation 3; null: as wide as keys are): steadier to train, and many more weights while training. What is
    saved are the keys and values alone, either way. With `init: zero` they start as zeros, not at random.
    """

    def __init__(
        self,
        *,
        virtual_tokens: int = 20,
        reparameterise: bool = True,
        hidden: int | None = None,
        init: Literal["random", "zero"] = "random",
    ) -> None:
        super().__init__(virtual_tokens=virtual_tokens)
        if hidden is not None and not reparameterise:
            raise RecipeError(
                f"hidden={hidden} is the width of the perceptron that reparameterise=false leaves out.",
                where="adaptation.hidden",
                hint="Leave one of them as it was.",
            )
        self.reparameterise, self.hidden, self.init = reparameterise, hidden, init

    def wrapper(self) -> type[Prefixed]:
        from luthier_prefix.network import KeysBefore

        return KeysBefore

    def peft_config(self, network: nn.Module) -> PrefixTuningConfig:
        from peft import PrefixTuningConfig

        text: Any = cast(Any, network).config.get_text_config()
        if text.to_dict().get("per_layer_config") or getattr(text, "num_kv_shared_layers", 0):
            raise RecipeError(
                f"The layers of {text.model_type} have keys of different shapes or share them, which prefix does not "
                "provide for.",
                where="adaptation",
                hint="Choose prompt_tuning, whose virtual tokens the network reads itself.",
            )
        return PrefixTuningConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=self.virtual_tokens,
            prefix_projection=self.reparameterise,
            encoder_hidden_size=self.hidden,  # type: ignore[arg-type]
            init_weights="zero" if self.init == "zero" else None,
        )
