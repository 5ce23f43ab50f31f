"""Scores of labels are the log-probabilities of their tokens, whatever they are computed beside."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model

from luthier.data import encoding as encode
from luthier.inference.generation import labels as module
from luthier.inference.generation import score_labels
from luthier.inference.generation.labels import can_branch

LABELS = ["positive", "negative", "positive and more", "no"]


def plainly(network, tokenizer, conversation, label) -> float:
    """log p(label and its end of turn | conversation), from the logits of one unpadded forward pass."""
    turn = [{"role": "assistant", "content": label}]
    prompt = encode.encode_prompt({"messages": conversation}, tokenizer).tolist()
    whole = encode.encode_conversation({"messages": conversation + turn}, tokenizer)
    ids = torch.from_numpy(whole.ids).long()
    assert ids[: len(prompt)].tolist() == prompt
    end = int(np.flatnonzero(whole.weights)[-1]) + 1
    with torch.no_grad():
        logprobs = network(input_ids=ids[None]).logits[0].log_softmax(-1)
    return sum(float(logprobs[place - 1, ids[place]]) for place in range(len(prompt), end))


@pytest.mark.parametrize(
    ("architecture", "attention"),
    [("llama", "luthier_packed"), ("llama", "eager"), ("llama", "sdpa"), ("qwen2", "luthier_packed"),
     ("gpt2", "luthier_packed"), ("gpt_neox", "sdpa"), ("gemma2", "eager"), ("gemma2", "luthier_packed")],
)  # fmt: skip
def test_scores_are_the_log_probabilities_of_whole_labels(made, questions, architecture: str, attention: str) -> None:
    network, tokenizer = made(architecture, attention)
    expected = [[plainly(network, tokenizer, question, label) for label in LABELS] for question in questions]
    found = score_labels(network, tokenizer, questions, LABELS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-3, rtol=1e-4)
    assert not np.allclose(found[0], found[1])


def test_each_label_has_several_tokens_and_all_of_them_count(made, questions) -> None:
    _, tokenizer = made()
    assert all(len(tokenizer(label).input_ids) > 1 for label in LABELS)
    network, _ = made()
    scores = score_labels(network, tokenizer, questions, ["positive", "positive and more"])
    assert (scores[:, 0] != scores[:, 1]).all()


def test_the_conversation_is_read_once_for_all_labels(made, questions) -> None:
    network, tokenizer = made()
    sizes: list[int] = []
    handle = network.register_forward_pre_hook(
        lambda module, args, kwargs: sizes.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    score_labels(network, tokenizer, questions[:1], LABELS)
    handle.remove()
    prompt = len(encode.encode_prompt({"messages": questions[0]}, tokenizer))
    longest = prompt + sum(len(tokenizer(label).input_ids) for label in LABELS)
    assert max(sizes) == longest


def test_how_conversations_are_batched_changes_no_score(made, questions, monkeypatch) -> None:
    network, tokenizer = made()
    together = score_labels(network, tokenizer, questions, LABELS)
    monkeypatch.setattr(module, "BATCH", 1)
    np.testing.assert_allclose(score_labels(network, tokenizer, questions, LABELS), together, atol=2e-4)


def test_the_way_without_branches_gives_the_same_scores(made, questions) -> None:
    network, tokenizer = made()
    branched = score_labels(network, tokenizer, questions, LABELS)
    network.config.sliding_window = 4  # too short for a mask to say all, and nothing that a Llama reads
    assert not can_branch(network, 10)
    np.testing.assert_allclose(score_labels(network, tokenizer, questions, LABELS), branched, atol=2e-4)


def test_networks_whose_layers_see_past_a_mask_do_not_branch(made) -> None:
    network, _ = made("gemma2")
    assert can_branch(network, 16)
    assert not can_branch(network, 17)  # its window is 16
    assert not can_branch(made("bloom", "eager")[0], 10)  # it takes no positions


def test_labels_of_an_adapted_network_are_scored_by_the_adapted_network(made, questions) -> None:
    network, tokenizer = made()
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    adapted = get_peft_model(deepcopy(network), config).eval()
    expected = [[plainly(adapted, tokenizer, question, label) for label in LABELS] for question in questions]
    np.testing.assert_allclose(score_labels(adapted, tokenizer, questions, LABELS), expected, atol=2e-3, rtol=1e-4)


def test_one_label_and_no_conversation_are_possible(made, questions) -> None:
    network, tokenizer = made()
    assert score_labels(network, tokenizer, questions[:1], ["yes"]).shape == (1, 1)
    assert score_labels(network, tokenizer, [], LABELS).shape == (0, 4)
