"""A small byte-level BPE tokenizer trained in the process, for random networks without a download."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from luthier.models.templates import template

MASK = "<|mask|>"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def byte_level_bpe(size: int, *, encoder: bool = False) -> PreTrainedTokenizerFast:
    """A byte-level BPE of at most `size` tokens over a page of text that ships with luthier; ChatML marks its turns.

    Training it is deterministic and takes some milliseconds: each process has the same. Any text can be encoded,
    since all 256 bytes are in it. For an `encoder` each text begins and ends with a special token, and one more token
    masks others.
    """
    trained = Tokenizer.from_str(_trained(size))
    marks = {}
    if encoder:
        first, last = SPECIAL[1], SPECIAL[2]
        trained.post_processor = processors.TemplateProcessing(
            single=f"{first} $A {last}",
            pair=f"{first} $A {last} $B {last}",
            special_tokens=[(one, trained.token_to_id(one)) for one in (first, last)],
        )
        marks = {"cls_token": first, "sep_token": last, "mask_token": MASK}
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=trained,
        **marks,
        eos_token=SPECIAL[2],
        pad_token=SPECIAL[0],
        additional_special_tokens=[SPECIAL[1]],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = template("chatml")
    return tokenizer


@cache
def _trained(size: int) -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=SPECIAL,
        show_progress=False,
    )
    corpus = files("luthier.models").joinpath("corpus.txt").read_text(encoding="utf-8")
    tokenizer.train_from_iterator(corpus.split("\n\n"), trainer)
    return str(tokenizer.to_str())
