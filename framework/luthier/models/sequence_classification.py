"""Sequence classification (reward models): a language model's trunk under a small linear head.

They have the layout of transformers' AutoModelForSequenceClassification, which reads them, too.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification

from luthier.errors import RecipeError
from luthier.models.processors import processor_files
from luthier.models.text_attention import for_text
from luthier.models.wrappers import unwrapped

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from luthier.contracts.model import Model


def is_reward_model(network: nn.Module) -> bool:
    """Whether the network is a reward model: a sequence-classification network, which has no LM head."""
    return type(unwrapped(network)).__name__.endswith("ForSequenceClassification")


def with_classification_head(network: nn.Module, outputs: int, pad: int | None) -> nn.Module:
    """The trunk of a language model under a new head of `outputs` numbers; the given network is used up.

    The head starts normal with a standard deviation of 1 / √(width + 1) (Stiennon et al., 2020), always the same. A
    network that judges already stays as it is. RecipeError for an architecture that cannot.
    """
    given: Any = network
    if is_reward_model(network):
        if given.config.num_labels != outputs:
            raise RecipeError(f"The model judges with {given.config.num_labels} outputs, and {outputs} are asked for.")
        return network
    if hasattr(network, "peft_config"):
        raise RecipeError("A new head needs a plain network under it.", where="model", hint="Set model.merge=true.")
    config = deepcopy(given.config)
    config.num_labels = outputs
    config.get_text_config().pad_token_id = pad
    try:
        with torch.device("meta"):
            made: Any = AutoModelForSequenceClassification.from_config(  # type: ignore[no-untyped-call]
                config, attn_implementation=for_text(config, config.get_text_config()._attn_implementation)
            )
    except ValueError as error:
        raise RecipeError(
            f"transformers has no sequence classification for {type(network).__name__}.",
            where="model",
            hint="Choose a model whose architecture has one, such as llama, qwen3 or gemma3.",
        ) from error
    trunk = getattr(given, given.base_model_prefix)
    setattr(made, made.base_model_prefix, trunk)
    if not isinstance(getattr(made, "score", None), nn.Linear):
        raise RecipeError(f"{type(made).__name__} has no head `score`, so it cannot be trained here.", where="model")
    width, like = made.score.in_features, next(trunk.parameters())
    start = torch.randn(outputs, width, generator=torch.Generator().manual_seed(0)) / (width + 1) ** 0.5
    made.score = nn.Linear(width, outputs, bias=False, dtype=like.dtype, device=like.device)
    if like.device.type != "meta":
        with torch.no_grad():
            made.score.weight.copy_(start)
    judge: nn.Module = made.train(network.training)
    return judge


class SequenceClassification:
    """`model` with a sequence-classification head of `outputs` outputs in place of its LM head."""

    def __init__(self, model: Model, outputs: int) -> None:
        self.model, self.outputs = model, outputs

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer of the language model."""
        return self.model.tokenizer

    @property
    def config(self) -> PretrainedConfig:
        """The configuration of the language model."""
        return self.model.config

    def network(self) -> nn.Module:
        """The network of the language model under a classification head of `outputs` numbers."""
        return with_classification_head(self.model.network(), self.outputs, self.tokenizer.pad_token_id)

    def processor_files(self) -> list[Path]:
        """The processor files of the language model."""
        return processor_files(self.model)

    def lineage(self) -> dict[str, Any]:
        """The lineage of the language model."""
        return self.model.lineage()
