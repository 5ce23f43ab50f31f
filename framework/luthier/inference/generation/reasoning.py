"""The reasoning in generated answers, told apart from what is said after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from luthier.contracts.sampling import Answer, Sampling
from luthier.data.encoding.codec import Codec
from luthier.data.encoding.reasoning_block import ReasoningBlock
from luthier.data.encoding.reasoning_tags import opened_tag
from luthier.errors import LuthierError
from luthier.inference.generation.stops import cut_at_stop

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_TAIL = 64  # tokens of a prompt in which a block for reasoning can be opened


def read_reasoning(
    answers: Sequence[Answer], prompts: Sequence[NDArray[np.int32]], tokenizer: PreTrainedTokenizerBase, how: Sampling
) -> None:
    """Set `reasoning` and `said` of the answers to each prompt, where they have reasoning.

    The block in which the chat template shows it may be opened by the generation prompt, and its tags may be special
    tokens, so that token ids are read.
    """
    block = _block(tokenizer)
    if block is None or not block.closing.strip():
        return
    for number, prompt in enumerate(prompts):
        tail = str(tokenizer.decode(prompt[-_TAIL:].tolist(), skip_special_tokens=False))
        opened = opened_tag(tail) is not None or _ends_with(tail, block.opening)
        for answer in answers[number * how.num_samples : (number + 1) * how.num_samples]:
            _read(answer, block, tokenizer, how, opened=opened)


def _block(tokenizer: PreTrainedTokenizerBase) -> ReasoningBlock | None:
    """The template's block, or that of a tag which its generation prompt opens; None without either."""
    try:
        template = Codec.of(tokenizer).template
        tag = opened_tag(template.render([{"role": "user", "content": "a"}], answer=True))
        return template.reasoning_block or (ReasoningBlock(tag.opening, tag.closes, always=False) if tag else None)
    except LuthierError:
        return None


def _read(
    answer: Answer, block: ReasoningBlock, tokenizer: PreTrainedTokenizerBase, how: Sampling, *, opened: bool
) -> None:
    text = str(tokenizer.decode(answer.ids, skip_special_tokens=False))
    opening, closing = block.opening.strip(), block.closing.strip()
    begins = bool(opening) and text.lstrip().startswith(opening)
    if not (opened or begins or closing in text):
        return
    thought, _, said = text.partition(closing)
    answer.reasoning = _plain(thought.lstrip().removeprefix(opening) if begins else thought, tokenizer)
    said = _plain(said, tokenizer)
    before = cut_at_stop(said, how.stop)
    answer.said = said if before is None else before


def _plain(text: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """The text without special tokens and without white space at its ends."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return str(tokenizer.decode(ids, skip_special_tokens=True)).strip()


def _ends_with(text: str, opening: str) -> bool:
    return bool(opening.strip()) and text.rstrip().endswith(opening.strip())
