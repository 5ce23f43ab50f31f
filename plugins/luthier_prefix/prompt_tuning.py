"""Prompt tuning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, cast

import torch
from torch import Tensor, nn

from luthier.api import RecipeError
from luthier_prefix.virtual_tokens import VirtualTokens

if TYPE_CHECKING:
    from peft import PromptTuningConfig
    from transformers import PreTrainedTokenizerBase

    from luthier.api import Batch
    from luthier_prefix.network import Prefixed


class PromptTuning(VirtualTokens):
    """Freeze the network and learn embeddings that stand before the text (Lester et al., 2021).

    They start as those of `text`, repeated until it fills them; without one, as those of tokens drawn from the
    vocabulary, or with `init: random` from a normal distribution.
    """

    def __init__(
        self,
        *,
        virtual_tokens: int = 20,
        text: str | None = None,
        init: Literal["vocabulary", "random"] = "vocabulary",
    ) -> None:
        super().__init__(virtual_tokens=virtual_tokens)
        if text is not None and init == "random":
            raise RecipeError(
                "Virtual tokens start either from a text or at random.", where="adaptation.text", hint="Leave one out."
            )
        self.text, self.init = text, init
        self.ids: list[int] | None = None

    def learn(self, batches: Iterable[Batch], tokenizer: PreTrainedTokenizerBase) -> None:
        if self.text is None:
            return
        ids: list[int] = tokenizer(self.text, add_special_tokens=False)["input_ids"]
        if not 0 < len(ids) <= self.virtual_tokens:
            raise RecipeError(
                f"The text that virtual tokens start from has {len(ids)} tokens, and there are {self.virtual_tokens}.",
                where="adaptation.text",
                hint=f"Set adaptation.virtual_tokens={len(ids)}." if ids else "Give it words.",
            )
        repeats = -(-self.virtual_tokens // len(ids))
        self.ids = (ids * repeats)[: self.virtual_tokens]

    def peft_config(self, network: nn.Module) -> PromptTuningConfig:
        from peft import PromptTuningConfig

        return PromptTuningConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=self.virtual_tokens,
            prompt_tuning_init="RANDOM" if self.init == "random" else "SAMPLE_VOCAB",
        )

    def __call__(self, network: nn.Module) -> nn.Module:
        prefixed = cast("Prefixed", super().__call__(network))
        table: Tensor = prefixed.prompt_encoder["default"].embedding.weight
        if self.text is not None and table.device.type != "meta":
            assert self.ids is not None, "the text is read when an adaptation learns, before it is called"
            words = network.get_input_embeddings()  # type: ignore[operator]
            with torch.no_grad():
                table.copy_(words(torch.tensor(self.ids, device=table.device)))
        return prefixed
