"""The chat templates of models in use, each with a tokenizer that has its special tokens."""

from __future__ import annotations

import re
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from luthier.contracts.batch import Row
from luthier.contracts.examples import Example
from luthier.data.encoding import encode_conversation
from luthier.data.turn_examples import EncodedTurn, encoded_turns

FOLDER = Path(__file__).with_name("chat_templates")
NAMES = sorted(path.stem for path in FOLDER.glob("*.jinja"))
PLAIN = {"<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"}
"""Added tokens that are not special, as in the tokenizers of Qwen3 and DeepSeek."""
ENDS = {"command_r7b": "<|END_OF_TURN_TOKEN|>"}
"""The end-of-sequence token of a template's tokenizer, where it is not `</s>`."""
_TOKENS = re.compile(
    r"<\|[^|<>\n{}']{1,40}\|>|<｜[^｜\n]{1,40}｜>|<\|[a-z_\"]{1,20}>|<[a-z_\"]{1,20}\|>|\[/?[A-Z_]{3,25}\]|"
    r"</?(?:start_of_turn|end_of_turn|think|tool_call|tool_response|start_of_image)>|<SPECIAL_\d+>|\[gMASK\]|<sop>"
)


def source(name: str) -> str:
    return (FOLDER / f"{name}.jinja").read_text(encoding="utf-8")


def tokenizer(name: str) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer without merges, with the tokens that the template names."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={character: at for at, character in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokens = sorted({*_TOKENS.findall(source(name)), "<s>", "</s>", "<think>", "</think>"})
    backend.add_tokens([AddedToken(token, special=token not in PLAIN, normalized=False) for token in tokens])
    made = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token=ENDS.get(name, "</s>"), model_max_length=100_000
    )
    made.chat_template, made.name_or_path = source(name), name
    return made


def rows(example: Example, made: PreTrainedTokenizerFast) -> list[EncodedTurn]:
    """What supervised fine-tuning makes of an example."""
    return encoded_turns(example, lambda one, using: Row((encode_conversation(one, using),)), made)


def context(turn: EncodedTurn, made: PreTrainedTokenizerFast) -> str:
    """The text before the first trained token."""
    (sequence,) = turn.row.sequences
    return made.decode(sequence.ids[: int((sequence.weights > 0).argmax())].tolist())


def trained(turn: EncodedTurn, made: PreTrainedTokenizerFast) -> list[str]:
    """The text of each stretch of trained tokens."""
    (sequence,) = turn.row.sequences
    texts: list[str] = []
    ids: list[int] = []
    for token, weight in [*zip(sequence.ids.tolist(), sequence.weights.tolist(), strict=True), (0, 0.0)]:
        if weight:
            ids.append(token)
        elif ids:
            texts.append(made.decode(ids))
            ids = []
    return texts


def user(content: str) -> dict:
    return {"role": "user", "content": content}


def assistant(content: str | None, **more: object) -> dict:
    return {"role": "assistant", "content": content, **more}


def call(name: str, arguments: object, identity: str | None = None) -> dict:
    made = {"type": "function", "function": {"name": name, "arguments": arguments}}
    return {**made, "id": identity} if identity else made


ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer", "description": "the first"}, "unit": {"type": "string"}},
            "required": ["a"],
        },
    },
}
