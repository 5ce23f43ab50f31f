"""P-tuning: soft-prompt embeddings reparameterised by a small network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torch import nn

from luthier_prefix.virtual_tokens import VirtualTokens, refuse_embeddings_of_layers, soft_prompt_sizes

if TYPE_CHECKING:
    from peft import PromptEncoderConfig


@dataclass(kw_only=True, eq=False)
class PTuning(VirtualTokens):
    """Freeze the network and learn soft-prompt embeddings that a small network computes (Liu et al., 2021).

    `encoder` is that network, over one embedding for each virtual token: a perceptron of three layers, or a
    bidirectional LSTM of two layers with a perceptron behind it, as in the paper; `hidden` is its width (null: as
    wide as embeddings are). The artifact holds the embeddings that it computes, not the network.
    """

    encoder: Literal["mlp", "lstm"] = "mlp"
    hidden: int | None = None

    def peft_config(self, network: nn.Module) -> PromptEncoderConfig:
        from peft import PromptEncoderConfig

        refuse_embeddings_of_layers(network)
        return PromptEncoderConfig(
            **soft_prompt_sizes(network),
            task_type="CAUSAL_LM",
            num_virtual_tokens=self.virtual_tokens,
            encoder_reparameterization_type=self.encoder.upper(),
            encoder_hidden_size=self.hidden,  # type: ignore[arg-type]
        )
