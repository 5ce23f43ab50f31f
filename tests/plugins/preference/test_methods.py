"""DPO and KTO on a network: shared prompts, references, metrics."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from luthier.contracts.batch import Batch, Row, TokenSequence
from luthier.contracts.examples import Example
from luthier.data import encoding as encode
from luthier.data.collate import collate
from luthier.errors import DataError
from luthier.models import attention
from luthier.models.adaptation import FullFineTuning
from luthier.models.attention import layout_of
from luthier.models.lm_head import find_lm_head
from luthier.models.random import Random
from luthier_adapters.lora import Lora
from luthier_preference import objectives
from luthier_preference import unpaired_objectives as unpaired
from luthier_preference.displacement import LikelihoodDisplacement
from luthier_preference.dpo import DirectPreference
from luthier_preference.kto import UnpairedPreference
from luthier_preference.reference_point import mismatched_in
from luthier_prefix.prefix import Prefix
from luthier_prefix.prompt_tuning import PromptTuning
from tests.plugins.preference.tiny_pairs import PAIRS, network
from tests.whole_sequences import without_shared_prefixes

TRL = json.loads(Path(__file__).with_name("trl_reference.json").read_text())


def nothing(*_: Any) -> None:
    return None


def dpo(model: Any, adaptation: Any, objective: Any = objectives.sigmoid) -> DirectPreference:
    return DirectPreference(model, adaptation, nothing, objective=objective)


def moved(method: Any) -> Any:
    """The method with its network adapted, and each trainable weight a little elsewhere."""
    if not hasattr(method, "network"):
        method.load()
    method.configure_model()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in method.network.parameters():
            if weight.requires_grad:
                weight += 0.05 * torch.randn(weight.shape, generator=generator)
    return method


class Given:
    """A model of a network that is there."""

    def __init__(self, shift: float) -> None:
        self.shift, self.tokenizer = shift, None

    def network(self) -> torch.nn.Module:
        attention.register()
        made = network(self.shift)
        made.set_attn_implementation("luthier_packed")
        return made

    def lineage(self) -> dict[str, Any]:
        return {"kind": "formula", "shift": self.shift}


def rows_of_trl() -> list[Row]:
    found = []
    for pair in PAIRS:
        both = []
        for answer in (pair["chosen_ids"], pair["rejected_ids"]):
            ids = np.array([*pair["prompt_ids"], *answer], dtype=np.int32)
            weights = np.array([0] * len(pair["prompt_ids"]) + [1] * len(answer), dtype=np.float32)
            both.append(TokenSequence(ids, weights))
        found.append(encode.row_with_shared_prefix(both, {"margin": 0.0}))
    return found


def test_the_loss_and_gradients_of_packed_shared_pairs_are_trl_s() -> None:
    method = dpo(Given(1.0), FullFineTuning(), partial(objectives.sigmoid, beta=TRL["beta"]))
    rows = rows_of_trl()
    method.load()
    method.reference.compute(rows, method.network)
    method.network, method.adapted = Given(0.0).network(), True
    method.head = find_lm_head(method.network)
    batch = method.on_before_batch_transfer(collate([rows[:2], rows[2:]]), 0)
    assert batch.prefix_of
    loss = method.loss(batch)
    (loss.sum / loss.weight).backward()
    theirs = TRL["dpo"]["sigmoid"]
    assert (loss.sum / loss.weight).item() == pytest.approx(theirs["mean"], rel=1e-5, abs=1e-5)
    for name, weight in method.network.named_parameters():
        if name in theirs["gradients"]:
            assert weight.grad is not None
            assert weight.grad.flatten()[:5].tolist() == pytest.approx(theirs["gradients"][name], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("adaptation", [Lora(rank=4), FullFineTuning(), Prefix(), PromptTuning()])
def test_a_shared_prompt_changes_neither_loss_nor_gradients(model: Any, adaptation: Any, pairs: list[Example]) -> None:
    method = dpo(model, adaptation)
    rows = [method.encode(pair, model.tokenizer) for pair in pairs]
    assert all(row.shared > 10 for row in rows)
    method.load()
    method.compute_reference(rows)
    moved(method)
    assert layout_of(method.network).shared_prefixes

    def outcome(batch: Batch) -> tuple[float, dict[str, torch.Tensor]]:
        method.network.zero_grad()
        loss = method.loss(method.on_before_batch_transfer(batch, 0))
        loss.sum.backward()
        return loss.sum.item(), {n: w.grad.clone() for n, w in method.network.named_parameters() if w.grad is not None}

    packed = collate([rows[:4], rows[4:]])
    (ours, gradients), (theirs, whole) = outcome(packed), outcome(without_shared_prefixes(packed))
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert gradients.keys() == whole.keys()
    for name, gradient in gradients.items():
        scale = whole[name].abs().max().clamp(min=1.0)
        torch.testing.assert_close(gradient / scale, whole[name] / scale, rtol=1e-5, atol=1e-5)


def test_the_reference_is_the_network_as_it_came_by_either_way(model: Any, pairs: list[Example]) -> None:
    switched, cached = moved(dpo(model, Lora(rank=4))), dpo(model, FullFineTuning())
    rows = [cached.encode(pair, model.tokenizer) for pair in pairs]
    cached.load()
    cached.compute_reference(rows)
    moved(cached)
    batch = collate([rows])
    assert not switched.caches_reference
    assert cached.caches_reference
    before = switched.reference_log_probs(batch)
    torch.testing.assert_close(
        before, cached.reference_log_probs(cached.on_before_batch_transfer(batch, 0)), rtol=1e-5, atol=1e-4
    )
    assert not torch.allclose(before, switched.sequence_log_probs(batch), atol=1e-2)
    assert all(w.requires_grad for n, w in switched.network.named_parameters() if "lora" in n)
    assert cached.reference.size == 12 * 2 * len(rows)


def test_a_cached_reference_is_read_again_and_not_computed_twice(model: Any, pairs: list[Example]) -> None:
    first, second = dpo(model, FullFineTuning()), dpo(model, FullFineTuning())
    rows = [first.encode(pair, model.tokenizer) for pair in pairs]
    first.reference.compute(rows)
    second.reference.score = lambda *_: pytest.fail("it was computed already")
    second.reference.compute(rows)
    second.reference.compute(rows[:2])
    whole = [sequence for row in rows for sequence in row.sequences]
    assert torch.equal(first.reference.lookup(whole), second.reference.lookup(whole))
    with pytest.raises(KeyError):
        second.reference.lookup([TokenSequence(np.array([1, 2], np.int32), np.array([0, 1], np.float32))])


def test_before_training_answers_are_as_likely_as_under_the_reference(model: Any, pairs: list[Example]) -> None:
    method = dpo(model, Lora(rank=4))
    method.load()
    rows = [method.encode(pair, model.tokenizer) for pair in pairs]
    found = {name: values[:, 0] / values[:, 1] for name, values in method.measured(rows).items()}
    assert found["loss"] == pytest.approx([np.log(2)] * 6)
    assert found["reward_accuracy"].tolist() == [0.5] * 6
    assert found["reward_margin"].tolist() == [0.0] * 6
    assert set(found) == {"loss", *method.measures}
    likely = found["chosen_log_prob"] > found["rejected_log_prob"]
    assert found["preference_accuracy"].tolist() == likely.astype(float).tolist()


def test_an_objective_without_a_reference_never_computes_one(model: Any, pairs: list[Example]) -> None:
    method = moved(dpo(model, FullFineTuning(), objectives.orpo))
    method.reference_log_probs = lambda _: pytest.fail("the objective needs no reference")
    rows = [method.encode(pair, model.tokenizer) for pair in pairs]
    assert set(method.measured(rows)) == {"loss", "preference_accuracy", "chosen_log_prob", "rejected_log_prob"}
    told = method.loss(method.on_before_batch_transfer(collate([rows]), 0)).metrics
    assert "margin" not in told
    assert told["chosen_tokens"][0] > 0


def test_metrics_are_what_their_names_say(model: Any, pairs: list[Example]) -> None:
    method = moved(dpo(model, Lora(rank=4)))
    rows = [method.encode(pair, model.tokenizer) for pair in pairs]
    told = {name: (s / w).item() for name, (s, w) in method.loss(collate([rows])).metrics.items()}
    batch = collate([rows])
    with torch.no_grad():
        gained = (method.sequence_log_probs(batch) - method.reference_log_probs(batch)).view(-1, 2)
    assert told["chosen_ratio"] == pytest.approx(gained[:, 0].mean().item(), rel=1e-4)
    assert told["margin"] == pytest.approx((gained[:, 0] - gained[:, 1]).mean().item(), rel=1e-4)
    assert told["accuracy"] == pytest.approx((gained[:, 0] > gained[:, 1]).float().mean().item())
    assert told["kl"] == pytest.approx((gained.square() / 2).mean().item(), rel=1e-4)


def test_a_filler_gives_gradients_of_zero(model: Any) -> None:
    method = moved(dpo(model, Lora(rank=4)))
    batch = collate([[]], 16)
    batch.values["margin"] = torch.zeros(0)
    loss = method.loss(batch)
    loss.sum.backward()
    assert loss.sum.item() == loss.weight.item() == 0


def test_networks_that_cannot_share_compute_each_answer_whole(pairs: list[Example]) -> None:
    model = Random(architecture="bloom", config={"hidden_size": 32, "n_layer": 2, "n_head": 4}, vocabulary=400)
    method = moved(dpo(model, Lora(rank=4)))
    batch = collate([[method.encode(pair, model.tokenizer) for pair in pairs]])
    assert batch.prefix_of
    assert not layout_of(method.network).shared_prefixes
    torch.testing.assert_close(
        method.sequence_log_probs(batch),
        method.sequence_log_probs(without_shared_prefixes(batch)),
        rtol=1e-5,
        atol=1e-4,
    )


def test_displacement_is_noticed_where_both_fall_and_not_where_one_rises() -> None:
    falling, rising = LikelihoodDisplacement(), LikelihoodDisplacement()
    for step in range(12):
        falling.add({"chosen_ratio": torch.tensor(-1.0 - step / 10), "rejected_ratio": torch.tensor(-5.0 - step / 10)})
        rising.add({"chosen_ratio": torch.tensor(0.5), "rejected_ratio": torch.tensor(-5.0)})
    assert "likelihood displacement" in falling.warnings()[0]
    assert rising.warnings() == []
    assert LikelihoodDisplacement().warnings() == []


def test_an_example_without_a_pair_is_refused(model: Any) -> None:
    with pytest.raises(DataError, match="learns from pairs"):
        dpo(model, FullFineTuning()).encode({"messages": [{"role": "user", "content": "Hm?"}]}, model.tokenizer)


def liked(model: Any, adaptation: Any, objective: Any = unpaired.kto) -> UnpairedPreference:
    return UnpairedPreference(model, adaptation, nothing, objective=objective)


def test_single_answers_and_pairs_cost_the_same(model: Any, pairs: list[Example]) -> None:
    method = moved(liked(model, Lora(rank=4), unpaired.apo_unpaired))
    single = [
        {"messages": pair["messages"] + pair[name], "liked": said}
        for pair in pairs
        for name, said in (("chosen", "true"), ("rejected", False))
    ]
    of_pairs = method.loss(collate([[method.encode(pair, model.tokenizer) for pair in pairs]]))
    of_singles = method.loss(collate([[method.encode(one, model.tokenizer) for one in single]]))
    assert of_pairs.weight == of_singles.weight == 12
    assert of_pairs.sum.item() == pytest.approx(of_singles.sum.item(), rel=1e-5)
    assert method.measured([method.encode(pair, model.tokenizer) for pair in pairs])["loss"][:, 1].tolist() == [2.0] * 6


def test_the_reference_point_is_estimated_from_answers_to_other_prompts(model: Any, pairs: list[Example]) -> None:
    method = moved(liked(model, Lora(rank=4)))
    rows = [method.encode(pair, model.tokenizer) for pair in pairs[:2]]
    whole = [sequence for row in rows for sequence in row.sequences]
    mixed = [row.sequences[0] for row in mismatched_in([row.sequences for row in rows])]
    prompt, answer = whole[0].weights == 0, whole[2].weights > 0
    assert mixed[0].ids.tolist() == [*whole[0].ids[: int(np.argmax(~prompt))], *whole[2].ids[int(np.argmax(answer)) :]]
    batch = collate([[Row((sequence,)) for sequence in mixed]])
    expected = (method.sequence_log_probs(batch) - method.reference_log_probs(batch)).mean()
    answers = method.answers(collate([rows]))
    assert answers.estimate_reference_point().item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-5)
    assert not answers.estimate_reference_point().requires_grad


def test_an_answer_without_a_label_is_refused(model: Any) -> None:
    asked = {"messages": [{"role": "user", "content": "Hm?"}, {"role": "assistant", "content": "Yes."}]}
    with pytest.raises(DataError, match="neither liked nor disliked: it has no column `liked`"):
        liked(model, FullFineTuning()).encode(asked, model.tokenizer)
