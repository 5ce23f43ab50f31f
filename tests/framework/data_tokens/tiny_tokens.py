"""Tokenizers trained in the process, the templates of models in use, and a source of given examples."""

from __future__ import annotations

from collections.abc import Iterator

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from luthier.contracts.batch import Row, TokenSequence
from luthier.contracts.examples import Example
from luthier.data.encoding import encode_conversation

TEXTS = [
    "Hello, how are you today? I am well, thank you. The weather is fine.",
    "user assistant system You are a helpful AI assistant named Tiny.",
    "What is 2 + 2? It is 4.\n\nWhy?\n\n\nBecause.",
] * 20
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

# No generation marks, and a system prompt of its own where the conversation has none.
SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named Tiny<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def byte_level(chat_template: str | None = SMOLLM2, **named: str) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False),
    )
    tokens = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"} | named
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=4096, **tokens)
    tokenizer.chat_template = chat_template
    return tokenizer


def metaspace(chat_template: str) -> PreTrainedTokenizerFast:
    """As Llama 2 has it: a space is put before any text, and special tokens need not begin a turn."""
    backend = Tokenizer(models.BPE(unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    backend.decoder = decoders.Metaspace(prepend_scheme="first")
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<unk>", "<s>", "</s>"],
        initial_alphabet=["\n", "<", ">", "/"],
        show_progress=False,
    )
    backend.train_from_iterator([text.replace("\n", " ") for text in TEXTS], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>", model_max_length=4096
    )
    tokenizer.chat_template = chat_template
    return tokenizer


def said(*turns: str, **more: object) -> Example:
    """A conversation in which user and assistant take turns."""
    roles = ("user", "assistant")
    return {
        "messages": [{"role": roles[at % 2], "content": turn} for at, turn in enumerate(turns)],
        "where": "f:1",
        **more,
    }


def trained_text(sequence: TokenSequence, tokenizer: PreTrainedTokenizerFast) -> str:
    return tokenizer.decode(sequence.ids[sequence.weights > 0].tolist())


class Examples:
    """A source of what it is given."""

    warnings: tuple[str, ...] = ()

    def __init__(self, examples: list[Example]) -> None:
        self.examples = [{"split": "train", "where": f"f.jsonl:{at}", **each} for at, each in enumerate(examples, 1)]

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)

    @property
    def counts(self) -> dict[str, int]:
        return {"read": len(self.examples)}

    def fingerprint(self) -> dict[str, object]:
        return {"examples": len(self.examples)}

    def quarantine_into(self, folder: object) -> None:
        pass


def chat_row(example: Example, tokenizer: PreTrainedTokenizerFast) -> Row:
    return Row((encode_conversation(example, tokenizer),))
