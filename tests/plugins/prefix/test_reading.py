"""A network with virtual tokens computes the same whether a text is packed, branched, cached or generated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from luthier.contracts.batch import Row, TokenSequence
from luthier.contracts.sampling import Sampling
from luthier.data.collate import collate
from luthier.errors import DataError, RecipeError
from luthier.inference import log_probabilities as scoring
from luthier.inference.generation import generate, score_labels
from luthier.models.attention import Packed, layout_of
from luthier.models.lm_head import hidden_states
from luthier.models.random import Random
from tests.plugins.prefix.networks import ANSWERS, adapted, blocks, build
from tests.plugins.prefix.test_parity import packed_loss

LLAMA = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128, "initializer_range": 0.3,
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> Random:
    return Random(config=LLAMA, vocabulary=300)


def user_messages(*texts: str) -> list[list[dict[str, str]]]:
    return [[{"role": "user", "content": text}] for text in texts]


@pytest.mark.parametrize("answer", ANSWERS)
def test_log_probabilities_of_generated_answers_are_those_of_scoring(answer: str, model: Random) -> None:
    network = adapted(answer, network=model.network())
    conversations = user_messages("Hi", "What is the top of a violin made of, and why?")
    settings = Sampling(max_new_tokens=8, temperature=1.0, num_samples=2)
    for number, generated in enumerate(generate(network, model.tokenizer, conversations, settings)):
        prompt = model.tokenizer.apply_chat_template(
            conversations[number // 2], add_generation_prompt=True, return_dict=False
        )
        sequence = TokenSequence(
            np.array([*prompt, *generated.ids], dtype=np.int32), np.ones(len(prompt) + len(generated.ids), "f4")
        )
        scored = scoring.log_probs(network, [sequence])[0][len(prompt) :]
        np.testing.assert_allclose(generated.logprobs, scored, atol=1e-5)


@pytest.mark.parametrize("answer", ANSWERS)
def test_labels_scored_in_one_tree_score_as_each_alone(answer: str, model: Random) -> None:
    from luthier.inference.generation.labels import Tree, _continued, can_branch

    network = adapted(answer, network=model.network())
    conversations, labels = (
        user_messages("It sings.", "The top has come off, and the neck with it."),
        ["good", "bad", "so so"],
    )
    assert can_branch(network, 60)
    found = score_labels(network, model.tokenizer, conversations, labels)
    for row, conversation in enumerate(conversations):
        tree = Tree([_continued(conversation, label, model.tokenizer) for label in labels])
        for column, sequence in enumerate(tree.branches):
            alone = scoring.log_probs(network, [sequence])[0][sequence.weights > 0].sum()
            assert found[row, column] == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize("answer", ANSWERS)
def test_gradient_checkpointing_changes_no_gradient(answer: str) -> None:
    def gradients(network: Any) -> dict[str, Tensor]:
        network.train()
        packed_loss(network, blocks((9, 2), (7, 8))).backward()
        return {name: weight.grad for name, weight in network.named_parameters() if weight.grad is not None}

    frugal = build("llama")
    frugal.gradient_checkpointing_enable({"use_reentrant": False})
    found, expected = gradients(adapted(answer, network=frugal)), gradients(adapted(answer))
    assert frugal.is_gradient_checkpointing
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient)


@pytest.mark.parametrize("answer", ["prefix", "prompt_tuning"])
def test_layers_compiled_once_serve_every_packing(answer: str) -> None:
    network = build("llama")
    network.model.layers[0].compile(backend="aot_eager")
    compiled, plain = adapted(answer, network=network), adapted(answer)
    torch.testing.assert_close(
        packed_loss(compiled, blocks((9, 2, 5), (7, 8))), packed_loss(plain, blocks((9, 2, 5), (7, 8)))
    )
    batch = collate(blocks((3, 3, 3), (17,)), 18)
    with torch._dynamo.config.patch(error_on_recompile=True):
        hidden_states(compiled, batch).sum().backward()


@pytest.mark.parametrize("answer", ANSWERS)
def test_under_autocast_only_the_rounding_differs(answer: str) -> None:
    network = adapted(answer)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = packed_loss(network, blocks((9, 2, 5), (7, 8)))
    assert rounded.item() == pytest.approx(packed_loss(network, blocks((9, 2, 5), (7, 8))).item(), rel=0.02)


@pytest.mark.parametrize("answer", ANSWERS)
def test_changing_one_packed_sequence_changes_no_other(answer: str) -> None:
    network, batch = adapted(answer), collate(blocks((9, 2, 5), (7, 8)), 18)
    before = hidden_states(network, batch)
    batch.input_ids[0, 3] = 66
    changed = (before != hidden_states(network, batch)).any(-1)
    assert changed[0, 3:9].all()
    assert int(changed.sum()) == 6


@pytest.mark.parametrize("answer", ANSWERS)
def test_without_its_virtual_tokens_it_is_the_base_network(answer: str) -> None:
    network, rows = adapted(answer), blocks((9, 2, 5), (7, 8))
    ANSWERS[answer].use(network, None)
    assert network.virtual_tokens == 0
    assert torch.equal(packed_loss(network, rows), packed_loss(build("llama"), rows))


def test_an_answer_ends_where_text_and_virtual_tokens_fill_the_positions(model: Random) -> None:
    network = adapted("prompt_tuning", network=model.network())
    long = "a b c d e f g h " * 5
    length = len(
        model.tokenizer.apply_chat_template(user_messages(long)[0], add_generation_prompt=True, return_dict=False)
    )
    assert length < 124
    (found,) = generate(network, model.tokenizer, user_messages(long), Sampling(max_new_tokens=100, stop=()))
    assert len(found.ids) <= 128 - 4 - length
    with pytest.raises(DataError, match="the model takes 124"):
        generate(network, model.tokenizer, user_messages(long * 3))


def test_positions_that_the_network_does_not_have_are_refused() -> None:
    with pytest.raises(
        RecipeError, match=r"4 virtual tokens and 62 of text .* Set batch.length and evaluation.general_length to 60"
    ):
        packed_loss(adapted("prefix", "gpt2"), blocks((62,)), None)


@pytest.mark.parametrize("answer", ANSWERS)
def test_under_attention_of_transformers_each_text_is_a_row_behind_the_virtual_tokens(answer: str) -> None:
    packed, by_rows = (adapted(answer, network=build("llama", attention)) for attention in ("luthier_packed", "sdpa"))
    assert layout_of(by_rows).packed is Packed.ROWS
    torch.testing.assert_close(packed_loss(by_rows, blocks((5, 9))), packed_loss(packed, blocks((5, 9))))


def test_a_prefix_for_layers_that_have_no_keys_is_refused() -> None:
    import transformers

    config = transformers.Qwen3NextConfig(
        vocab_size=67, hidden_size=32, num_hidden_layers=2, layer_types=["linear_attention", "full_attention"],
        num_experts=2, moe_intermediate_size=8, shared_expert_intermediate_size=8,
    )  # fmt: skip
    with torch.device("meta"):
        network: nn.Module = transformers.AutoModelForCausalLM.from_config(config)
    with pytest.raises(RecipeError, match="has layers of linear_attention"):
        ANSWERS["prefix"](network)


@pytest.mark.parametrize("answer", ANSWERS)
def test_rows_with_a_shared_prefix_attend_to_the_virtual_tokens(answer: str) -> None:
    """A pair of answers with a shared prompt has the losses of the two whole sequences."""
    network, ids = adapted(answer), np.array([5, 9, 11, 4, 7, 8], np.int32)

    def ending(*tail: int) -> TokenSequence:
        whole = np.array([*ids, *tail], np.int32)
        return TokenSequence(whole, (np.arange(len(whole)) >= len(ids)).astype(np.float32))

    pair = (ending(12, 20, 3), ending(30, 6))
    together = Row(pair, shared=len(ids) - 1)
    with torch.no_grad():
        found = packed_loss(network, [[together, *blocks((4,))[0]]], 24)
        alone = sum(packed_loss(network, [[row]], None) for row in (Row(pair[:1]), Row(pair[1:]), *blocks((4,))[0]))
    torch.testing.assert_close(found, alone)
