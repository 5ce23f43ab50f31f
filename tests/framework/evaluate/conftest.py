"""A small network that answers, and examples to ask it about."""

from __future__ import annotations

import pytest

from luthier.data.prompts import ChatPrompt
from luthier.inference.predictor import NetworkPredictor
from luthier.models.adaptation import FullFineTuning
from luthier.models.random import Random
from luthier_sft.sft import SupervisedFineTuning

SIZE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,
}


def _subject(seed=0, vocabulary=400):
    model = Random(architecture="llama", config=SIZE, seed=seed, vocabulary=vocabulary)
    method = SupervisedFineTuning(model, FullFineTuning(), lambda parameters, steps: None)
    method.configure_model()
    return NetworkPredictor(method.network, model.tokenizer, ChatPrompt(), method)


@pytest.fixture
def subject_of():
    """Makes subjects: another seed has other weights, another vocabulary another tokenizer."""
    return _subject


@pytest.fixture
def subject():
    return _subject()


@pytest.fixture
def examples():
    """Eight questions, each with its class as the answer."""
    moods = ["happy", "unhappy"]
    return [
        {
            "messages": [
                {"role": "user", "content": f"Bow number {number} sounds {'warm' if number % 2 else 'thin, sadly'}."},
                {"role": "assistant", "content": moods[number % 2]},
            ],
            "where": f"bows.jsonl:{number + 1}",
        }
        for number in range(8)
    ]


@pytest.fixture
def general():
    return [{"text": f"Passage {number}: the river runs past the mill and on to the sea." * 2} for number in range(8)]
