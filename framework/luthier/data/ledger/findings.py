"""The checks of an encoded example's tokens."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from luthier.contracts.examples import Example
from luthier.data.encoding.codec import Codec
from luthier.data.ledger.entries import Entry, Finding
from luthier.data.ledger.owners import conversations

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_CONTENT = ("messages", "chosen", "rejected", "text", "tools")


def findings(example: Example, entries: list[Entry], tokenizer: PreTrainedTokenizerBase, lost: int) -> list[Finding]:
    """The findings of an example: errors first, each kind at most once."""
    by_name: dict[str, Finding] = {}
    for _, group in groupby(entries, key=lambda entry: entry.sequence):
        for finding in _of_sequence(list(group), tokenizer, lost):
            by_name.setdefault(finding.name, finding)
    if lost:
        nothing_left = by_name.pop("no_trainable_token", None)
        what = "that is, all of the answer" if nothing_left else "with the end of the answer"
        by_name["truncated_answer"] = Finding(
            "error",
            "truncated_answer",
            f"{lost} trained tokens were truncated, {what}.",
            "Raise batch.length, or set batch.overlong=drop.",
        )
    if kinds := _left_out(example, tokenizer):
        by_name["left_out"] = Finding(
            "note", "left_out", f"The chat template leaves out what it does not render: {', '.join(kinds)}."
        )
    hits = Codec.of(tokenizer).tokenizer.shield([example.get(key) for key in _CONTENT])[1]
    if hits:
        by_name["special_text"] = Finding(
            "note",
            "special_text",
            f"The content contains the text of special tokens ({hits} times); it is encoded as plain text.",
        )
    order = ("error", "warning", "note")
    return sorted(by_name.values(), key=lambda finding: order.index(finding.severity))


def _left_out(example: Example, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The kinds of texts of the example's conversations that the template does not render."""
    codec = Codec.of(tokenizer)
    kinds = {kind for messages in conversations(example) for kind in codec.left_out(messages, example.get("tools"))}
    return sorted(kinds)


def _of_sequence(entries: list[Entry], tokenizer: PreTrainedTokenizerBase, lost: int) -> Iterator[Finding]:
    if not any(entry.weight for entry in entries):
        yield Finding(
            "error",
            "no_trainable_token",
            "No token is trained.",
            "Is there an assistant turn, and does the chat template render it? model.chat_template=chatml does.",
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
            f"{own} tokens are the chat template's own, such as a default system prompt.",
        )
    yield from _ends(entries, tokenizer, lost)


def _ends(entries: list[Entry], tokenizer: PreTrainedTokenizerBase, lost: int) -> Iterator[Finding]:
    """Findings about the ends of answer spans: without a trained end-of-turn token the model does not stop."""
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
                f"{follower.text} ends the turn, is also the pad token, and is not trained: is it masked by its id?",
                "Mask by position, not by id, or give the tokenizer a pad token of its own.",
            )
        else:
            yield Finding(
                "error",
                "untrained_end_of_turn",
                f"{follower.text} ends the turn and is not trained, so the model cannot learn to stop.",
                "Put it inside the template's {% generation %} block, or choose model.chat_template=chatml.",
            )
