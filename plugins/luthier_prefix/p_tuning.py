"""P-tuning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from torch import nn

from luthier_prefix.virtual_tokens import VirtualTokens

if TYPE_CHECKING:
    from peft import PromptEncoderConfig


class PTuning(VirtualTokens):
    """Freeze the network and learn embeddings before the text that come out of a small network (Liu et al., 2021).

    `encoder` is that network, over one embedding for each virtual token: a perceptron of three layers, or a
    bidirectional LSTM of two layers with a perceptron behind it, as in the paper; `hidden` is its width (null: as
    wide as embeddings are). What is saved are the embeddings that come out of it.
    """

    def __init__(
        self,
        *,
        virtual_tokens: int = 20,
        encoder: Literal["mlp", "lstm"] = "mlp",
        hidden: int | None = None,
    ) -> None:
        super().__init__(virtual_tokens=virtual_tokens)
        self.encoder, self.hidden = encoder, hidden

    def peft_config(self, network: nn.Module) -> PromptEncoderConfig:
        from peft import PromptEncoderConfig

        return PromptEncoderConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=self.virtual_tokens,
            encoder_reparameterization_type=self.encoder.upper(),
            encoder_hidden_size=self.hidden,  # type: ignore[arg-type]
        )
