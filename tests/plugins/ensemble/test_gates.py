"""Learned ensemble weights: what is trained, that it is learned, and the contract of adaptations."""

from __future__ import annotations

import pytest
import torch

import luthier
from luthier.errors import RecipeError
from luthier.models.random import Random
from luthier.testing.adaptation import RATE, AdaptationContract, logits, train
from luthier.testing.twin import twin
from luthier_ensemble.combining.contrastive import Contrastive
from luthier_ensemble.combining.mixture import Mixture
from luthier_ensemble.learned_weights import Gate, Mixing
from luthier_ensemble.outputs import Ensemble
from tests.plugins.ensemble.conftest import SIZE

ENSEMBLE = (
    "model=ensemble",
    "+model@model.members.one=tiny",
    "+model@model.members.other=tiny",
    "model.members.other.seed=1",
)


class TestGate(AdaptationContract):
    words = (*ENSEMBLE, "adaptation=gate")
    cannot = frozenset({"merge", "switch", "plain_peft"})
    methods = ("sft",)


def test_a_trained_gate_prefers_the_member_with_the_higher_likelihood():
    """The targets are the most likely tokens of one of two members: it gets most of the weight."""
    good = Random(config=SIZE | {"initializer_range": 0.5}, vocabulary=300)
    bad = Random(config=SIZE | {"initializer_range": 0.5}, vocabulary=300, seed=1)
    for adaptation in (Mixing(), Gate()):
        network = adaptation(Ensemble(members={"good": good, "bad": bad}, combining=Mixture()).network())
        ids = torch.arange(5, 45).unsqueeze(0)
        with torch.no_grad():
            likely = network.members[0](input_ids=ids).logits.argmax(-1)[0]
        optimizer = torch.optim.Adam([weight for weight in network.parameters() if weight.requires_grad], lr=0.1)
        for _ in range(30):
            loss = torch.nn.functional.cross_entropy(network(input_ids=ids).logits[0], likely)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        with torch.no_grad():
            hidden, _ = network.members([{}, {}], {"input_ids": ids})
            weights = network.mix.gate(hidden).exp()
        assert float(weights[..., 0].mean()) > 0.8, type(adaptation).__name__
        assert all(weight.grad is None for weight in network.members.parameters())


def test_mixing_trains_one_weight_for_each_member_and_loads_bit_equal(tmp_path):
    done = train(tmp_path / "run", *ENSEMBLE, "model/combining=product", "adaptation=mixing", *RATE, "stages=[fit]")
    assert done.moving == {"mix.gate.logits"}
    assert torch.equal(logits(luthier.load(done.folder).network), logits(done.network))


def test_adapters_of_all_members_are_trained_together(tmp_path):
    done = train(tmp_path / "run", *ENSEMBLE, "adaptation=lora", *RATE, "stages=[fit]")
    assert {name.split("members.")[1][0] for name in done.moving} == {"0", "1"}
    assert torch.equal(logits(luthier.load(done.folder).network), logits(done.network))


def test_only_an_ensemble_with_weights_can_learn_them():
    network = Random(config=SIZE, vocabulary=300).network()
    with pytest.raises(RecipeError, match="has no members"):
        Gate()(network)
    members = {name: Random(config=SIZE, vocabulary=300) for name in ("one", "other")}
    roles = Ensemble(members=members, combining=Contrastive(expert="one", amateur="other"))
    with pytest.raises(RecipeError, match="gives its members roles"):
        Mixing()(roles.network())


@pytest.mark.parametrize(
    ("words", "message"),
    [((), "adaptation=full would train"), (("adaptation=prompt_tuning",), "choose adaptation=gate")],
)
def test_what_an_ensemble_cannot_learn_is_refused_with_the_way_out(tmp_path, words, message):
    with pytest.raises(RecipeError, match=message):
        twin(tmp_path, *ENSEMBLE, *words)
