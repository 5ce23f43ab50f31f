"""What can be wrong with the tokens of an example."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from luthier.contracts.examples import Example
from luthier.data.encoding.codec import Codec
from luthier.data.ledger.entries import Entry, Finding

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SAID = ("messages", "chosen", "rejected", "text", "tools")


def findings(example: Example, entries: list[Entry], tokenizer: PreTrainedTokenizerBase, lost: int) -> list[Finding]:
    """Errors first; each kind at most once."""
    found: dict[str, Finding] = {}
    for _, group in groupby(entries, key=lambda entry: entry.sequence):
        for finding in _of_sequence(list(group), tokenizer, lost):
            found.setdefault(finding.name, finding)
    if lost:
        found["truncated_answer"] = Finding(
            "error",
            "truncated_answer",
            f"{lost} trained tokens were cut off, the end of the answer among them.",
            "Raise batch.length, or set batch.overlong=drop.",
        )
    hits = Codec.of(tokenizer).plain.shield([example.get(key) for key in _SAID])[1]
    if hits:
        found["special_text"] = Finding(
            "note",
            "special_text",
            f"The content holds the text of special tokens ({hits} found); it is encoded as plain text.",
        )
    order = ("error", "warning", "note")
    return sorted(found.values(), key=lambda finding: order.index(finding.severity))


def _of_sequence(entries: list[Entry], tokenizer: PreTrainedTokenizerBase, lost: int) -> Iterator[Finding]:
    if not any(entry.weight for entry in entries):
        yield Finding(
            "error",
            "no_trainable_token",
            "No token is trained.",
            "Is there an assistant turn, and does the chat template show it? model.chat_template=chatml does.",
        )
    bos = tokenizer.bos_token_id
    if bos is not None and [entry.id for entry in entries[:2]] == [bos, bos]:
        yield Finding(
            "error",
            "double_bos",
            f"It begins with {tokenizer.bos_token} twice.",
            "Take it out of the chat template, or out of the data.",
        )
    own = sum(entry.role == "template" for entry in entries)
    if own:
        yield Finding(
            "note",
            "template_text",
            f"{own} tokens come from the chat template alone, such as a system prompt of its own.",
        )
    yield from _ends(entries, tokenizer, lost)


def _ends(entries: list[Entry], tokenizer: PreTrainedTokenizerBase, lost: int) -> Iterator[Finding]:
    """How trained stretches end: a model that is never shown the end of a turn does not stop."""
    for place, entry in enumerate(entries):
        follower = entries[place + 1] if place + 1 < len(entries) else None
        ends_here = entry.weight > 0 and (follower is None or not follower.weight)
        if not ends_here or entry.special or (follower is None and lost):
            continue
        if follower is None or not follower.special:
            yield Finding(
                "error",
                "endless_answer",
                f"An answer ends with {entry.text!r} and no end-of-turn token, so the model cannot learn to stop.",
                "Choose model.chat_template=chatml or plain, which close each answer.",
            )
        elif follower.id == tokenizer.pad_token_id:
            yield Finding(
                "error",
                "pad_is_end_of_turn",
                f"{follower.text} ends the turn, is the pad token too, and is not trained: is it masked by its id?",
                "Mask by place, not by id, or give the tokenizer a pad token of its own.",
            )
        else:
            yield Finding(
                "error",
                "untrained_end_of_turn",
                f"{follower.text} ends the turn and is not trained, so the model cannot learn to stop.",
                "Put it inside the template's {% generation %} block, or choose model.chat_template=chatml.",
            )
