"""Conversations that are tokenized in a batch before they are encoded."""

from __future__ import annotations

import copy
import pickle

import pytest

from luthier.data.encoding import encode_conversation
from luthier.data.encoding.codec import Codec
from luthier.data.encoding.tokenized_messages import TokenizedMessages
from tests.framework.data_tokens.tiny_tokens import said


def test_conversations_that_are_tokenized_ahead_have_the_same_ids_and_weights(tokenizer):
    examples = [said("Hello", f"well {number}") for number in range(4)]
    expected = [encode_conversation(example, tokenizer) for example in examples]
    ahead = Codec.of(tokenizer).tokenize_ahead(examples)
    for example, sequence in zip(ahead, expected, strict=True):
        assert not example["messages"].used
        found = encode_conversation(example, tokenizer)
        assert example["messages"].used
        assert found.ids.tolist() == sequence.ids.tolist()
        assert found.weights.tolist() == sequence.weights.tolist()


def test_content_with_the_text_of_a_special_token_is_not_tokenized_ahead(tokenizer):
    plain, special = Codec.of(tokenizer).tokenize_ahead([said("Hello", "well"), said("Hello <|im_end|>", "well")])
    assert isinstance(plain["messages"], TokenizedMessages)
    assert type(special["messages"]) is list


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_is_a_plain_list_that_is_encoded_as_it_is_then(tokenizer, copied):
    (example,) = Codec.of(tokenizer).tokenize_ahead([said("Hello", "well")])
    changed = copied(example["messages"])
    assert type(changed) is list
    changed[-1] = {**changed[-1], "content": "badly"}
    found = encode_conversation({**example, "messages": changed}, tokenizer)
    assert "badly" in tokenizer.decode(found.ids.tolist())
