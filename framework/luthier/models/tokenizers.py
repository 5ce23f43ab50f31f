"""Set the length, padding and chat template of a tokenizer, or refuse it, before anything is encoded."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from transformers import MODEL_MAPPING

from luthier.errors import RecipeError
from luthier.models.auto_class import is_encoder
from luthier.models.template_settings import apply_template_settings
from luthier.models.templates import template

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

log = logging.getLogger("luthier")
_PADS = ("<|pad|>", "<pad>", "[PAD]", "<|finetune_right_pad_id|>", "<|vision_pad|>", "<|endoftext|>")
_UNLIMITED = 10**9


def configure_tokenizer(
    tokenizer: PreTrainedTokenizerBase,
    config: PretrainedConfig,
    *,
    chat_template: str | None = None,
    template_settings: Mapping[str, Any] | None = None,
) -> list[str]:
    """Fix length, padding and template in place; gives a sentence for each thing that was changed.

    The longest input is what both the tokenizer and the network's positions allow. Where there is no pad token, an
    unused special token takes its place, else EOS, which is safe because nothing here masks by id. RecipeError if
    there is no EOS, if the tokenizer knows more ids than the network has embeddings, if the template needs
    tokens that are not in the vocabulary, or if it does not read one of its settings.
    """
    changes = [*_settle_length(tokenizer, config), *_settle_padding(tokenizer, writes=not is_encoder(config))]
    _check_vocabulary(tokenizer, config)
    if chat_template is not None:
        tokenizer.chat_template = template(chat_template)
        changes.append(f"The chat template is {chat_template!r}.")
        _check_template(tokenizer, chat_template)
    changes += apply_template_settings(tokenizer, template_settings or {})
    for change in changes:
        log.info(change)
    return changes


def _settle_length(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> list[str]:
    positions = getattr(config.get_text_config(), "max_position_embeddings", None)
    for name, value in {"max_position_embeddings": positions, "model_max_length": tokenizer.model_max_length}.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
            raise RecipeError(f"The model states {name}={value!r}, which is no number of tokens.", where="model")
    if positions is not None and is_encoder(config):
        positions -= _first_position(config)
    if positions is None or tokenizer.model_max_length <= positions:
        return []
    stated = tokenizer.model_max_length
    tokenizer.model_max_length = positions
    found = "no limit" if stated > _UNLIMITED else str(stated)
    return [f"The longest input is {positions} tokens, as the network's positions allow (the tokenizer said {found})."]


def _first_position(config: PretrainedConfig) -> int:
    """The number of the first position of an encoder: RoBERTa and its kin count from that of padding on."""
    pad = getattr(config, "pad_token_id", None)
    modeling: Any = sys.modules.get(MODEL_MAPPING[type(config)].__module__)
    counts = any(hasattr(one, _FROM_PADDING) for one in (modeling, *vars(modeling).values()))
    return pad + 1 if counts and isinstance(pad, int) and not hasattr(config, "rope_parameters") else 0


_FROM_PADDING = "create_position_ids_from_input_ids"


def _settle_padding(tokenizer: PreTrainedTokenizerBase, *, writes: bool) -> list[str]:
    if tokenizer.eos_token_id is None and writes:
        raise RecipeError(
            "The tokenizer has no end-of-sequence token, so no answer could ever end.",
            hint="Set eos_token in its tokenizer_config.json.",
        )
    if tokenizer.pad_token_id is not None:
        return []
    known = tokenizer.get_vocab()
    tokenizer.pad_token = next((token for token in _PADS if token in known), tokenizer.eos_token or tokenizer.sep_token)
    return [f"The tokenizer had no pad token; {tokenizer.pad_token} is used, and padding is never told by its id."]


def _check_vocabulary(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> None:
    text = config.get_text_config()
    rows = text.vocab_size + getattr(text, "additional_vocab_size", 0)
    highest = max(set(tokenizer.get_vocab().values()) - _placeholders(config))
    if highest >= rows:
        token = tokenizer.convert_ids_to_tokens(highest)
        raise RecipeError(
            f"The tokenizer knows the id {highest} ({token!r}), but the network has {rows} embeddings.",
            hint="Use the tokenizer that belongs to this network.",
        )


def _placeholders(config: PretrainedConfig) -> set[int]:
    """The ids in whose places a network puts images or sound: some have no embedding of a text token."""
    names = [f"{what}_token_{kind}" for what in ("image", "video", "audio") for kind in ("id", "index")]
    return {token for name in names if isinstance(token := getattr(config, name, None), int)}


def _check_template(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """A turn token that is cut into pieces would be learned as ordinary text, and never end a turn."""
    missing = [token for token in ("<|im_start|>", "<|im_end|>") if token in str(tokenizer.chat_template)]
    missing = [token for token in missing if token not in tokenizer.get_vocab()]
    if missing:
        raise RecipeError(
            f"The chat template {name!r} needs {' and '.join(missing)}, which the tokenizer does not know.",
            where="model.chat_template",
            hint="Choose chat_template=plain, which needs no tokens of its own.",
        )
