"""Classification: the trunk of a language model or an encoder under a small head, for rewards, labels and tags.

They have the layout of transformers' AutoModelForSequenceClassification and AutoModelForTokenClassification, which read
them, too.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

from luthier.contracts.heads import TAGGER_ENDING, Head
from luthier.errors import RecipeError
from luthier.models.auto_class import is_encoder, is_multimodal
from luthier.models.encoder_heads import encoder_with_head
from luthier.models.meta_networks import meta_network
from luthier.models.processors import processor_files
from luthier.models.text_attention import for_text
from luthier.models.wrappers import unwrapped

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from luthier.contracts.model import Model


def is_reward_model(network: nn.Module) -> bool:
    """Whether the network is a reward model: a sequence-classification network, which has no LM head."""
    return type(unwrapped(network)).__name__.endswith("ForSequenceClassification")


def is_classifier(network: nn.Module) -> bool:
    """Whether the network has a classification head whose outputs have labels."""
    config: Any = unwrapped(network).config
    return is_reward_model(network) and Head.of(config) is not None


def is_tagger(network: nn.Module) -> bool:
    """Whether the network has a head that tags each token."""
    return type(unwrapped(network)).__name__.endswith(TAGGER_ENDING)


def has_small_head(network: nn.Module) -> bool:
    """Whether the network has a head of scores, labels or tags, and none over a vocabulary."""
    return is_reward_model(network) or is_tagger(network)


def with_labelled_head(network: nn.Module, head: Head, pad: int | None) -> nn.Module:
    """The trunk of an encoder or a language model under a new head; the given network is used up.

    A network whose head has the same labels in the same order stays as it is. RecipeError for an architecture that
    cannot.
    """
    given: Any = network
    if has_small_head(network) and Head.of(given.config) == head:
        return network
    _refuse_adapter(network)
    config = deepcopy(given.config)
    encoder = is_encoder(config)
    head.write(config)
    if head.problem == "token_classification":
        return encoder_with_head(network, config, AutoModelForTokenClassification)
    if encoder:
        return encoder_with_head(network, config)
    return _language_model_with_head(network, config, len(head.labels), pad)


def with_classification_head(network: nn.Module, outputs: int, pad: int | None) -> nn.Module:
    """The trunk of a language model under a new head of `outputs` numbers; the given network is used up.

    The head starts normal with a standard deviation of 1 / √(width + 1) (Stiennon et al., 2020), always the same. A
    network that judges already stays as it is. RecipeError for an architecture that cannot.
    """
    given: Any = network
    if is_encoder(given.config):
        raise RecipeError(
            f"{type(network).__name__} is an encoder, and a reward model reads its reward at a text's last token, "
            "which has seen all before it.",
            where="model",
            hint="Choose a language model, or classify with method=classify.",
        )
    if is_reward_model(network):
        if given.config.num_labels != outputs:
            raise RecipeError(f"The model judges with {given.config.num_labels} outputs, and {outputs} are asked for.")
        return network
    _refuse_adapter(network)
    config = deepcopy(given.config)
    config.num_labels = outputs
    return _language_model_with_head(network, config, outputs, pad)


def _refuse_adapter(network: nn.Module) -> None:
    if hasattr(network, "peft_config"):
        raise RecipeError("A new head needs a plain network under it.", where="model", hint="Set model.merge=true.")


def _language_model_with_head(network: nn.Module, config: Any, outputs: int, pad: int | None) -> nn.Module:
    given: Any = network
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
    if not is_multimodal(config):  # whose twins are built whole, as their configuration names them
        made.config.architectures = [type(made).__name__]
    judge: nn.Module = made.train(network.training)
    return judge


class SequenceClassification:
    """`model` with a classification head of `outputs` outputs in place of its LM head.

    `head` says in their place what the outputs mean, or is asked for it where the network is built.
    """

    def __init__(self, model: Model, outputs: int = 1, *, head: Head | Callable[[], Head] | None = None) -> None:
        self.model, self.outputs, self.head = model, outputs, head

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer of the model."""
        return self.model.tokenizer

    @property
    def config(self) -> PretrainedConfig:
        """The configuration of the model."""
        return self.model.config

    def network(self) -> nn.Module:
        """The network of the model under its classification head."""
        return self._headed(self.model.network())

    def meta_network(self) -> nn.Module:
        """The same on the meta device."""
        return self._headed(meta_network(self.model))

    def _headed(self, network: nn.Module) -> nn.Module:
        pad = self.tokenizer.pad_token_id
        if self.head is None:
            return with_classification_head(network, self.outputs, pad)
        return with_labelled_head(network, self.head() if callable(self.head) else self.head, pad)

    def processor_files(self) -> list[Path]:
        """The processor files of the model."""
        return processor_files(self.model)

    def lineage(self) -> dict[str, Any]:
        """The lineage of the model."""
        return self.model.lineage()
