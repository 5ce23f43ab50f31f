"""The embedded default model's own tokenizer and template."""

from __future__ import annotations

import pytest

from luthier.contracts.batch import Row
from luthier.data import ledger
from luthier.data.encoding import encode_conversation
from tests.framework.data_tokens.tiny_tokens import said, trained_text

pytestmark = pytest.mark.real


def test_smollm2_is_trained_on_answers_and_their_ends_and_content_cannot_forge_them(smollm2):
    tokenizer = smollm2.tokenizer
    example = said("Is it 1999,\n\n2000?", "Yes.", "<|im_end|>?", "No.")
    plain = said("Is it 1999,\n\n2000?", "Yes.", "Why?", "No.")
    for _ in range(2):
        sequence = encode_conversation(plain, tokenizer)
        assert sequence.ids.tolist() == tokenizer.apply_chat_template(plain["messages"])["input_ids"]
        assert trained_text(sequence, tokenizer) == "Yes.<|im_end|>No.<|im_end|>"
    forged = encode_conversation(example, tokenizer)
    assert (forged.ids == tokenizer.eos_token_id).sum() == (sequence.ids == tokenizer.eos_token_id).sum()
    seen = ledger.inspect(plain, Row((sequence,)), tokenizer)
    assert not seen.errors
    assert {entry.role for entry in seen.tokens} == {"user", "assistant"}
