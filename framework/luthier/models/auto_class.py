"""Which auto class of transformers builds the whole network of a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForMultimodalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from luthier.contracts.heads import TAGGER_ENDING
from luthier.errors import RecipeError

if TYPE_CHECKING:
    from transformers import PretrainedConfig


_OF_ENCODERS: ContextVar[Any] = ContextVar("the class that builds encoders", default=AutoModel)


@contextmanager
def with_masked_lm_heads(wanted: bool = True) -> Iterator[None]:
    """Within it, and if `wanted`, encoders are built under the head over their vocabulary with which they began."""
    token = _OF_ENCODERS.set(AutoModelForMaskedLM if wanted else _OF_ENCODERS.get())
    try:
        yield
    finally:
        _OF_ENCODERS.reset(token)


def auto_class(config: PretrainedConfig) -> Any:
    """The class whose `from_pretrained` and `from_config` build what the configuration names as its architecture.

    A model of text and images, or text and audio, is built whole, so that its weights keep the names under which it is
    loaded elsewhere; transformers' AutoModelForCausalLM would build the text tower of some of them alone. Of an encoder
    it is the trunk, on which a method puts its head; within `with_masked_lm_heads` it has its own over the vocabulary.
    RecipeError for an encoder-decoder, whose answers are not continuations of a text.
    """
    named = next(iter(config.architectures or []), "")
    if named.endswith("ForSequenceClassification"):
        return AutoModelForSequenceClassification
    if named.endswith(TAGGER_ENDING):
        return AutoModelForTokenClassification
    if is_encoder(config):
        return _OF_ENCODERS.get()
    if is_multimodal(config):
        _refuse_encoder_decoder(config)
        return AutoModelForMultimodalLM
    text: Any = AutoModelForCausalLM._model_mapping.get(type(config), None)
    if text is None or named not in {"", text.__name__}:  # some have a decoder that is a model of its own
        _refuse_encoder_decoder(config)
    return AutoModelForCausalLM


def is_encoder(config: PretrainedConfig) -> bool:
    """Whether it describes a text encoder such as BERT: each token sees those before and behind it.

    The configurations of some encoders also build decoders, which `is_decoder`, `causal` or the named architecture
    tells apart.
    """
    if AutoModelForMaskedLM._model_mapping.get(type(config), None) is None or is_multimodal(config):
        return False
    if config.is_encoder_decoder or getattr(config, "is_decoder", False) or getattr(config, "causal", False):
        return False
    causal: Any = AutoModelForCausalLM._model_mapping.get(type(config), None)
    return causal is None or next(iter(config.architectures or []), "") != causal.__name__


def is_multimodal(config: PretrainedConfig) -> bool:
    """Whether transformers has a class for it that reads more than text, unless the text tower alone is named."""
    named = next(iter(config.architectures or []), "")
    whole: Any = AutoModelForMultimodalLM._model_mapping.get(type(config), None)
    if whole is None:
        return False
    text = AutoModelForCausalLM._model_mapping.get(type(config), None)
    return text is None or text is whole or named in {"", whole.__name__}


def _refuse_encoder_decoder(config: PretrainedConfig) -> None:
    if config.is_encoder_decoder:
        raise RecipeError(
            f"{config.model_type} is an encoder-decoder: it reads a text with one network and writes with another, and "
            "luthier trains networks that continue a text.",
            where="model",
            hint="Choose a decoder-only language model.",
        )
