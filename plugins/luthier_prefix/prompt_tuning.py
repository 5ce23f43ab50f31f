"""Prompt tuning: learned soft-prompt embeddings before the text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

import torch
from torch import Tensor, nn

from luthier.api import ADAPTER_NAME, RecipeError
from luthier_prefix.virtual_tokens import VirtualTokens, refuse_embeddings_of_layers, soft_prompt_sizes

if TYPE_CHECKING:
    from peft import PromptTuningConfig
    from transformers import PreTrainedTokenizerBase

    from luthier.api import Batch
    from luthier_prefix.network import VirtualTokenModel


@dataclass(kw_only=True, eq=False)
class PromptTuning(VirtualTokens):
    """Freeze the network and learn soft-prompt embeddings before the text (Lester et al., 2021).

    They start as those of `text`, repeated until it fills them; without one, as those of tokens drawn from the
    vocabulary, or with `init: random` from a normal distribution.
    """

    text: str | None = None
    init: Literal["vocabulary", "random"] = "vocabulary"
    _text_ids: list[int] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.text is not None and self.init == "random":
            raise RecipeError(
                "Virtual tokens start either from a text or at random.", where="adaptation.text", hint="Leave one out."
            )

    def learn(self, batches: Iterable[Batch], tokenizer: PreTrainedTokenizerBase) -> None:
        if self.text is None:
            return
        ids: list[int] = tokenizer(self.text, add_special_tokens=False)["input_ids"]
        if not 0 < len(ids) <= self.virtual_tokens:
            raise RecipeError(
                f"The initial text of the virtual tokens has {len(ids)} tokens, and there are {self.virtual_tokens}.",
                where="adaptation.text",
                hint=f"Set adaptation.virtual_tokens={len(ids)}." if ids else "Give it a text that is not empty.",
            )
        repeats = -(-self.virtual_tokens // len(ids))
        self._text_ids = (ids * repeats)[: self.virtual_tokens]

    def peft_config(self, network: nn.Module) -> PromptTuningConfig:
        from peft import PromptTuningConfig

        return PromptTuningConfig(
            **soft_prompt_sizes(network),
            task_type="CAUSAL_LM",
            num_virtual_tokens=self.virtual_tokens,
            prompt_tuning_init="RANDOM",  # PEFT looks for the embeddings by their number of rows, and may find others
        )

    def __call__(self, network: nn.Module, added_tokens: Sequence[int] = ()) -> nn.Module:
        refuse_embeddings_of_layers(network)
        prefixed = cast("VirtualTokenModel", super().__call__(network, added_tokens))
        table: Tensor = prefixed.prompt_encoder[ADAPTER_NAME].embedding.weight
        if self.init != "random" and table.device.type != "meta":
            embeddings = network.get_input_embeddings()  # type: ignore[operator]
            with torch.no_grad():
                table.copy_(embeddings(self._first_ids(len(embeddings.weight)).to(table.device)))
        return prefixed

    def _first_ids(self, vocabulary: int) -> Tensor:
        """The ids of the tokens as which the virtual ones start, int64 [virtual_tokens]."""
        if self.text is None:
            return torch.randint(0, vocabulary, (self.virtual_tokens,))
        assert self._text_ids is not None, "`learn` tokenizes the text before the adaptation is called"
        return torch.tensor(self._text_ids)
