"""Inspection of one encoded example, token by token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luthier.contracts.batch import Row
from luthier.contracts.examples import Example
from luthier.data.encoding.codec import Codec
from luthier.data.ledger.entries import Entry, Ledger
from luthier.data.ledger.findings import findings
from luthier.data.ledger.owners import owners

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

OF_ANSWERS = {
    "no_trainable_token", "untrained_end_of_turn", "pad_is_end_of_turn", "endless_answer", "truncated_answer",
    "special_text",
}  # fmt: skip
"""Findings about answers that are written and texts that stand in a template; what is read has neither."""
_MOST_BYTES = 4  # of a character in UTF-8


def inspect(example: Example, row: Row, tokenizer: PreTrainedTokenizerBase, *, lost: int = 0) -> Ledger:
    """The token ledger of an example and of the row that a method's `encode` returned for it.

    `lost` is the number of trained tokens that were truncated.
    """
    if row.read_only:  # whatever else the example has is not what is read
        example = {key: value for key, value in example.items() if key in ("text", "where")}
    special = Codec.of(tokenizer).tokenizer.special_ids
    entries: list[Entry] = []
    for number, sequence in enumerate(row.sequences):
        ids, weights = sequence.ids.tolist(), sequence.weights.tolist()
        known = zip(ids, texts(ids, tokenizer), weights, owners(ids, example, tokenizer), strict=True)
        for token, text, weight, (message, role) in known:
            entries.append(Entry(token, text, message, role, weight, token in special, number))
    found = findings(example, entries, tokenizer, lost)
    intended = {"no_trainable_token"} if row.prompt_only else OF_ANSWERS if row.read_only else set()
    return Ledger(
        str(example.get("where", "")), entries, [finding for finding in found if finding.name not in intended]
    )


def texts(ids: list[int], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The text of each token. The last of several tokens that form a character has its text, the others none."""
    result: list[str] = []
    start = 0
    for place in range(len(ids)):
        text = tokenizer.backend_tokenizer.decode(ids[start : place + 1], skip_special_tokens=False)
        whole = not text.endswith("\ufffd") or place - start == _MOST_BYTES - 1
        result.append(text if whole else "")
        start = place + 1 if whole else start
    return result
