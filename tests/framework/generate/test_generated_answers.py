"""Answers are those that transformers' own generate gives, one by one, whatever they are batched with."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model

from luthier.contracts.sampling import Sampling
from luthier.data import encoding as encode
from luthier.errors import DataError, RecipeError
from luthier.inference.generation import answers, generate
from luthier.inference.generation.stops import stop_tokens
from luthier.models.wrappers import unwrapped


def one_by_one(network: Any, tokenizer: Any, questions: Any, new: int, stops: Any = None) -> list[list[int]]:
    """What transformers says, each conversation by itself and without padding."""
    found = []
    for question in questions:
        prompt = torch.from_numpy(encode.encode_prompt({"messages": question}, tokenizer)).long()[None]
        out = network.generate(
            input_ids=prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=new,
            eos_token_id=stops or [tokenizer.eos_token_id], pad_token_id=0,
        )  # fmt: skip
        found.append(out[0, prompt.shape[1] :].tolist())
    return found


@pytest.mark.parametrize(
    ("architecture", "attention"),
    [
        *((name, "luthier_packed") for name in ("llama", "qwen2", "gemma2", "gpt2", "gpt_neox")),
        *((name, "eager") for name in ("llama", "gemma2", "bloom")),
    ],
)
def test_greedy_answers_equal_those_of_transformers_token_by_token(made, questions, architecture, attention) -> None:
    network, tokenizer = made(architecture, attention)
    ours = generate(network, tokenizer, questions, Sampling(max_new_tokens=24))
    assert [answer.ids for answer in ours] == one_by_one(network, tokenizer, questions, 24)
    assert len({tuple(answer.ids) for answer in ours}) > 2


def test_greedy_answers_of_an_adapted_network_equal_those_of_transformers(made, questions) -> None:
    network, tokenizer = made()
    plain = generate(network, tokenizer, questions, Sampling(max_new_tokens=16))
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    adapted = get_peft_model(deepcopy(network), config).eval()
    ours = generate(adapted, tokenizer, questions, Sampling(max_new_tokens=16))
    assert [answer.ids for answer in ours] == one_by_one(adapted, tokenizer, questions, 16)
    assert [answer.ids for answer in ours] != [answer.ids for answer in plain]


def test_finished_answers_leave_the_batch_and_the_others_go_on_unchanged(made, questions, monkeypatch) -> None:
    network, tokenizer = made()
    free = generate(network, tokenizer, questions, Sampling(max_new_tokens=24))
    stops = [free[1].ids[3], free[2].ids[7]]
    expected = one_by_one(network, tokenizer, questions, 24, [*stops, tokenizer.eos_token_id])
    monkeypatch.setattr(network.generation_config, "eos_token_id", stops)
    rows: list[int] = []
    handle = network.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    ours = generate(network, tokenizer, questions, Sampling(max_new_tokens=24))
    handle.remove()
    assert [answer.ids for answer in ours] == expected
    assert {answer.finish for answer in ours} == {"stop", "length"} or all(a.finish == "stop" for a in ours)
    assert rows[0] == 4
    assert rows[-1] < 4
    assert rows == sorted(rows, reverse=True)


def test_the_samples_of_a_group_share_one_reading_of_their_prompt(made, questions) -> None:
    network, tokenizer = made()
    shapes: list[tuple[int, ...]] = []
    handle = network.register_forward_pre_hook(
        lambda module, args, kwargs: shapes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    settings = Sampling(max_new_tokens=5, temperature=1.0, num_samples=3)
    ours = generate(network, tokenizer, questions[:2], settings)
    handle.remove()
    assert shapes[0][0] == 2
    assert set(shapes[1:]) == {(6, 1)}
    assert len(ours) == 6
    assert len({tuple(answer.ids) for answer in ours[:3]}) == 3


def test_a_sample_does_not_depend_on_what_else_is_in_the_batch(made, questions, monkeypatch) -> None:
    network, tokenizer = made()
    settings = Sampling(max_new_tokens=12, temperature=0.8, top_p=0.95, top_k=50, num_samples=2, seed=5)
    together = generate(network, tokenizer, questions, settings)
    monkeypatch.setattr(answers, "BATCH", 1)
    alone = generate(network, tokenizer, questions, settings)
    assert [answer.ids for answer in together] == [answer.ids for answer in alone]
    assert [a.ids for a in generate(network, tokenizer, questions, Sampling(12, 0.8, seed=6))] != [
        a.ids for a in generate(network, tokenizer, questions, Sampling(12, 0.8, seed=7))
    ]


def test_log_probabilities_are_those_of_the_network_for_the_tokens_that_were_drawn(made, questions) -> None:
    network, tokenizer = made()
    ours = generate(network, tokenizer, questions, Sampling(max_new_tokens=10, temperature=1.5, top_k=5))
    for answer, question in zip(ours, questions, strict=True):
        prompt = encode.encode_prompt({"messages": question}, tokenizer).tolist()
        with torch.no_grad():
            logits = network(input_ids=torch.tensor([prompt + answer.ids])).logits[0, len(prompt) - 1 : -1]
        expected = logits.log_softmax(-1).gather(-1, torch.tensor(answer.ids)[:, None]).squeeze(-1)
        torch.testing.assert_close(torch.tensor(answer.logprobs), expected, rtol=1e-4, atol=1e-4)


def test_the_text_is_without_the_token_that_ended_it(made, questions, monkeypatch) -> None:
    network, tokenizer = made()
    free = generate(network, tokenizer, questions[:1], Sampling(max_new_tokens=8))[0]
    monkeypatch.setattr(network.generation_config, "eos_token_id", free.ids[4])
    stopped = generate(network, tokenizer, questions[:1], Sampling(max_new_tokens=8))[0]
    length = free.ids.index(free.ids[4]) + 1
    assert stopped.finish == "stop"
    assert stopped.ids == free.ids[:length]
    assert stopped.text == tokenizer.decode(free.ids[: length - 1])


def test_an_answer_ends_at_eos_at_the_end_of_turn_and_at_what_the_network_states(made, monkeypatch) -> None:
    network, tokenizer = made()
    tokenizer = deepcopy(tokenizer)
    tokenizer.eos_token = "<|endoftext|>"
    monkeypatch.setattr(network.generation_config, "eos_token_id", [7, 8])
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert stop_tokens(network, tokenizer) == {tokenizer.eos_token_id, end, 7, 8}


def test_a_stop_text_ends_the_answer_before_it(made, questions) -> None:
    network, tokenizer = made()
    free = generate(network, tokenizer, questions, Sampling(max_new_tokens=20))
    stop = free[1].text[5:8]
    stopped = generate(network, tokenizer, questions, Sampling(max_new_tokens=20, stop=(stop,)))
    assert stopped[1].text == free[1].text[: free[1].text.index(stop)]
    assert stopped[1].finish == "stop"
    assert len(stopped[1].ids) < 20
    assert all(stop not in answer.text for answer in stopped)


def test_an_answer_ends_where_the_longest_input_ends_and_a_prompt_beyond_it_is_refused(made) -> None:
    network, tokenizer = made()
    long = [{"role": "user", "content": "a b " * 60}]
    prompt = len(encode.encode_prompt({"messages": long}, tokenizer))
    short = deepcopy(tokenizer)
    short.model_max_length = prompt + 3
    answers_ = generate(network, short, [long, [{"role": "user", "content": "Hi"}]], Sampling(max_new_tokens=6))
    assert [len(answer.ids) for answer in answers_] == [3, 6]
    short.model_max_length = prompt
    with pytest.raises(DataError, match=str(prompt)):
        generate(network, short, [long], Sampling(max_new_tokens=9))


def test_a_network_in_training_is_asked_in_evaluation_mode_and_put_back(made, questions) -> None:
    network, tokenizer = made("gpt2")
    expected = [a.ids for a in generate(network, tokenizer, questions, Sampling(8))]
    network = deepcopy(network).train()
    assert [a.ids for a in generate(network, tokenizer, questions, Sampling(8))] == expected
    assert network.training
    assert unwrapped(network) is network


def test_nothing_asked_is_nothing_answered(made) -> None:
    assert generate(*made(), []) == []


def test_a_network_with_virtual_tokens_is_refused_and_not_answered_for_wrongly(made, questions) -> None:
    network, tokenizer = made()
    config = PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM")
    with pytest.raises(RecipeError, match="virtual tokens"):
        generate(get_peft_model(deepcopy(network), config), tokenizer, questions)
