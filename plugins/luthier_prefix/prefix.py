"""Prefix tuning: learned keys and values before the text in every layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from torch import nn

from luthier.api import RecipeError
from luthier_prefix.virtual_tokens import VirtualTokens, has_embeddings_of_layers, sizes

if TYPE_CHECKING:
    from peft import PrefixTuningConfig

    from luthier_prefix.network import VirtualTokenModel


@dataclass(kw_only=True, eq=False)
class Prefix(VirtualTokens):
    """Freeze the network and learn keys and values before the text, in every layer (Li & Liang, 2021).

    With `reparameterise` a two-layer perceptron computes them from one embedding for each token; its width is `hidden`
    (their equation 3; null: the width of the keys). Training is more stable and has many more weights. The artifact
    holds the keys and values alone, either way. With `init: zero` they start as zeros, not at random.
    """

    reparameterise: bool = True
    hidden: int | None = None
    init: Literal["random", "zero"] = "random"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden is not None and not self.reparameterise:
            raise RecipeError(
                f"hidden={self.hidden} is the width of the perceptron that reparameterise=false leaves out.",
                where="adaptation.hidden",
                hint="Leave one of them at its default.",
            )

    def model_class(self) -> type[VirtualTokenModel]:
        from luthier_prefix.network import PrefixTuningModel

        return PrefixTuningModel

    def peft_config(self, network: nn.Module) -> PrefixTuningConfig:
        from peft import PrefixTuningConfig

        text: Any = cast(Any, network).config.get_text_config()
        if text.to_dict().get("per_layer_config") or getattr(text, "num_kv_shared_layers", 0):
            raise RecipeError(
                f"The layers of {text.model_type} have keys of different shapes or share them, which prefix does not "
                "support.",
                where="adaptation",
                hint="Choose an adaptation that changes weights, such as lora."
                if has_embeddings_of_layers(text)
                else "Choose prompt_tuning, whose virtual tokens are embeddings.",
            )
        recurrent = {kind for kind in getattr(text, "layer_types", None) or () if not kind.endswith("_attention")}
        recurrent |= {"linear_attention"} & set(getattr(text, "layer_types", None) or ())
        if recurrent:
            raise RecipeError(
                f"A prefix is keys and values, and {text.model_type} has layers of {', '.join(sorted(recurrent))}, "
                "which have none.",
                where="adaptation",
                hint="Choose prompt_tuning, whose virtual tokens are embeddings, or lora.",
            )
        return PrefixTuningConfig(
            **sizes(network),
            task_type="CAUSAL_LM",
            num_virtual_tokens=self.virtual_tokens,
            prefix_projection=self.reparameterise,
            encoder_hidden_size=self.hidden,  # type: ignore[arg-type]
            init_weights="zero" if self.init == "zero" else None,
        )
