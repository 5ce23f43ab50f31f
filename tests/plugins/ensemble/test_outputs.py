"""Ensembles of next-token distributions: their probabilities, scores, generation and losses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from luthier.contracts.batch import TokenSequence
from luthier.contracts.sampling import Sampling
from luthier.errors import RecipeError
from luthier.inference import log_probabilities as scoring
from luthier.inference.generation import generate, score_labels
from luthier.inference.proof import prove_network
from luthier.models.attention import Packed, layout_of
from luthier.models.lm_head import find_lm_head, last_hidden_state
from luthier.models.random import Random
from luthier_ensemble.combining.contrastive import Contrastive
from luthier_ensemble.combining.mixture import Mixture
from luthier_ensemble.combining.product import Product
from luthier_ensemble.outputs import Ensemble
from tests.plugins.ensemble.conftest import SIZE

IDS = torch.tensor([[5, 9, 2, 77, 31]])
CONVERSATIONS = [
    [{"role": "user", "content": text}] for text in ("Which wood is it?", "Why?", "And what is the back made of?")
]


def member(seed: int, **settings) -> Random:
    size = {**SIZE, "max_position_embeddings": 256, "initializer_range": 0.5} | settings.pop("config", {})
    return Random(config=size, seed=seed, vocabulary=300, **settings)


@pytest.fixture(scope="module")
def members() -> dict[str, Random]:
    """Two architectures of different widths and depths."""
    return {
        "one": member(1),
        "other": member(2, architecture="qwen2", config={"hidden_size": 24, "num_hidden_layers": 3}),
    }


def probabilities(model) -> Tensor:
    with torch.no_grad():
        return torch.softmax(model.network().eval()(input_ids=IDS).logits.double(), dim=-1)


def test_a_mixture_is_the_weighted_mean_of_probabilities(members):
    one, other = map(probabilities, members.values())
    found = probabilities(Ensemble(members=members, combining=Mixture(weights={"one": 3.0})))
    torch.testing.assert_close(found, 0.75 * one + 0.25 * other, atol=1e-6, rtol=1e-4)


def test_a_product_is_the_mean_of_log_probabilities(members):
    one, other = map(probabilities, members.values())
    for combining, raw in [(Product(), (one * other).sqrt()), (Product(strength=2.0), one * other)]:
        found = probabilities(Ensemble(members=members, combining=combining))
        torch.testing.assert_close(found, raw / raw.sum(-1, keepdim=True), atol=1e-6, rtol=1e-4)


def test_contrastive_decoding_excludes_tokens_implausible_to_the_expert():
    expert, amateur = torch.tensor([[0.6, 0.3, 0.08, 0.02]]), torch.tensor([[0.8, 0.1, 0.05, 0.05]])
    combining = Contrastive(expert="e", amateur="a", beta=1.0, alpha=0.1, floor=0.01)
    found = torch.softmax(combining([("a", amateur.log()), ("e", expert.log())], torch.zeros(2)), dim=-1)
    raw = torch.tensor([0.6**2 / 0.8, 0.3**2 / 0.1, 0.08**2 / 0.05, 0.0])
    torch.testing.assert_close(found[0], 0.99 * raw / raw.sum() + 0.01 * expert[0])


def test_packed_scores_are_those_of_each_text_alone(members):
    network = Ensemble(members=members, combining=Product()).network().eval()
    texts = [np.arange(5, 25, dtype=np.int32), np.arange(40, 49, dtype=np.int32)]
    packed = scoring.log_probs(network, [TokenSequence(text, np.ones(len(text), np.float32)) for text in texts])
    for text, scored in zip(texts, packed, strict=True):
        with torch.no_grad():
            alone = torch.log_softmax(network(input_ids=torch.from_numpy(text)[None].long()).logits[0], dim=-1)
        wanted = alone[:-1].gather(1, torch.from_numpy(text[1:]).long()[:, None])[:, 0]
        torch.testing.assert_close(torch.from_numpy(scored[1:]), wanted, atol=1e-4, rtol=1e-4)


def test_answers_are_generated_with_a_cache_for_each_member(members):
    """Prompts of different lengths, several samples, answers that end early: caches are repeated and selected."""
    ensemble = Ensemble(members=members, combining=Mixture())
    network, tokenizer = ensemble.network().eval(), ensemble.tokenizer
    sampling = Sampling(max_new_tokens=8, temperature=1.0, num_samples=2)
    answers = generate(network, tokenizer, CONVERSATIONS, sampling)
    assert len({tuple(answer.ids) for answer in answers}) > 1
    for number, answer in enumerate(answers):
        conversation = CONVERSATIONS[number // 2]
        prompt = tokenizer.apply_chat_template(conversation, add_generation_prompt=True, return_dict=False)
        ids = torch.tensor([[*prompt, *answer.ids]])
        with torch.no_grad():
            log_probs = torch.log_softmax(network(input_ids=ids).logits[0, len(prompt) - 1 : -1], dim=-1)
        wanted = log_probs.gather(1, torch.tensor(answer.ids)[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(answer.logprobs), wanted, atol=1e-4, rtol=1e-4)


def test_labels_scored_together_score_as_each_alone(members):
    ensemble = Ensemble(members=members, combining=Mixture())
    network, tokenizer = ensemble.network().eval(), ensemble.tokenizer
    together = score_labels(network, tokenizer, CONVERSATIONS[:1], ["yes", "no, never"])[0]
    alone = [score_labels(network, tokenizer, CONVERSATIONS[:1], [label])[0, 0] for label in ("yes", "no, never")]
    np.testing.assert_allclose(together, alone, atol=1e-3)


def test_members_logits_are_held_for_a_chunk_of_tokens_only(members, monkeypatch):
    network = Ensemble(members=members, combining=Mixture()).network().eval()
    ids = torch.arange(600).remainder(250).unsqueeze(0) + 5
    network.config.max_position_embeddings = 1024
    head, most = find_lm_head(network), []
    for inner in network.mix.heads:
        inner.module.register_forward_hook(lambda module, given, made: most.append(made[..., 0].numel()))
    with torch.no_grad():
        hidden = last_hidden_state(network, {"input_ids": ids, "use_cache": False})[0]
        total, weight = head.cross_entropy(hidden, ids[0], torch.ones(600))
        wanted = -torch.log_softmax(network.mix(hidden), -1).gather(1, ids[0][:, None]).sum()
        assert max(most[:-2]) <= 256
    assert (float(weight), float(total)) == (600, pytest.approx(float(wanted), rel=1e-5))


def test_a_padded_vocabulary_is_cut_to_the_narrowest(members):
    wide = member(3, config={"vocab_size": 320})
    found = probabilities(Ensemble(members={**members, "wide": wide}, combining=Mixture()))
    assert found.shape[-1] == members["one"].config.vocab_size
    torch.testing.assert_close(found.sum(-1), torch.ones(1, 5).double(), atol=1e-5, rtol=0)


def test_members_that_read_packed_texts_in_different_ways_do_so_in_one_that_is_right_for_all(members):
    third = member(3, attn_implementation="eager")
    network = Ensemble(members={**members, "third": third}, combining=Mixture()).network().eval()
    assert {layout_of(member).packed for member in network.members} == {Packed.KERNELS, Packed.POSITIONS}
    assert network.layout.packed is Packed.ROWS
    prove_network(network)


@pytest.mark.parametrize(
    ("more", "combining", "message"),
    [
        ({"third": Random(config=SIZE, vocabulary=310)}, Mixture(), "third has another vocabulary"),
        ({}, Mixture(weights={"on": 1.0}), "There is no member 'on'"),
        ({}, Product(weights={"one": 0.0}), "not above 0"),
        ({"third": member(3)}, Contrastive(expert="one", amateur="other"), "between an expert and an amateur"),
        ({}, Contrastive(expert="one", amateur="ohter"), "to be the amateur"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_name(members, more, combining, message):
    def build():
        ensemble = Ensemble(members={**members, **more}, combining=combining)
        return ensemble.tokenizer, ensemble.network()

    with pytest.raises(RecipeError, match=message):
        build()


def test_the_lineage_is_that_of_members_and_of_how_they_are_combined(members):
    made = {
        strength: Ensemble(members=members, combining=Product(strength=strength)).lineage() for strength in (1.0, 2.0)
    }
    assert made[1.0]["members"]["one"]["seed"] == 1
    assert made[1.0]["sha256"] != made[2.0]["sha256"]
    assert made[1.0] == Ensemble(members=members, combining=Product()).lineage()
    assert math.isclose(made[2.0]["combining"]["strength"], 2.0)
