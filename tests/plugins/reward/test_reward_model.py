"""Reward models: their objectives, their losses, and their artifacts."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import luthier
from luthier.contracts.batch import Batch, Row, TokenSequence
from luthier.contracts.examples import Example
from luthier.data.collate import collate
from luthier.errors import DataError, RecipeError
from luthier.inference.reward_scores import reward_scores
from luthier.models.adaptation import FullFineTuning
from luthier.models.sequence_classification import SequenceClassification, with_classification_head
from luthier.training.optimizers.adamw import AdamW
from luthier.training.optimizers.schedules import Constant
from luthier_adapters.lora import Lora
from luthier_reward.calibration import BINS, binned, calibration_error
from luthier_reward.pairs import BradleyTerry
from luthier_reward.process_rewards import ProcessReward
from luthier_reward.ratings import RatingClassification, RatingRegression, correlation
from luthier_reward.reward_model import RewardModel
from tests.command import luthier as command
from tests.whole_sequences import without_shared_prefixes


def reward_model(model: Any, objective: Any, adaptation: Any = None) -> RewardModel:
    method = RewardModel(model, adaptation or FullFineTuning(), lambda *_: None, objective=objective)
    method.configure_model()
    return method


def batch_of(values: dict[str, list[float]], sequences: int) -> Batch:
    rows = tuple((number,) for number in range(sequences))
    nothing = torch.zeros(1, sequences)
    labels = {name: torch.tensor(each) for name, each in values.items()}
    bounds = tuple(range(sequences + 1))
    return Batch(
        nothing.long(), nothing, nothing.long(), nothing.int(), bounds, bounds[:-1], labels, sequence_groups=rows
    )


def s(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_bradley_terry_is_its_formula() -> None:
    outputs = torch.tensor([[1.0], [0.2], [-0.5], [0.3]])
    batch = batch_of({"margin": [0.0, 0.6]}, 2)
    found = BradleyTerry(margin=0.5, centre=0.1).losses(outputs, batch)
    expected = [-math.log(s(0.8)) + 0.1 * 1.2**2, -math.log(s(-0.8 - 0.3)) + 0.1 * 0.2**2]
    assert found.tolist() == pytest.approx(expected)
    statistics = BradleyTerry().statistics(outputs, batch)
    assert statistics["reward_accuracy"].tolist() == [[1, 1], [0, 1]]
    assert statistics["reward_margin"][:, 0].tolist() == pytest.approx([0.8, -0.8])


def test_ratings_are_learnt_by_their_square_and_classes_by_their_likelihood() -> None:
    outputs, batch = torch.tensor([[1.0], [-0.5]]), batch_of({"rating": [0.5, 0.5]}, 2)
    assert RatingRegression().losses(outputs, batch).tolist() == pytest.approx([0.25, 1.0])
    assert RatingRegression(spread=4.0).statistics(outputs, batch)["rating_error"][:, 0].tolist() == pytest.approx(
        [2.0, 4.0]
    )
    outputs, batch = torch.tensor([[1.0, 0.0], [0.0, 3.0]]), batch_of({"label": [1.0, 1.0]}, 2)
    expected = [-math.log(1 / (1 + math.e)), -math.log(s(3.0))]
    assert RatingClassification(labels=["no", "yes"]).losses(outputs, batch).tolist() == pytest.approx(expected)


def test_correlation_is_pearson_s() -> None:
    x, y = np.array([1.0, 2.0, 4.0, 3.0]), np.array([2.0, 1.0, 5.0, 5.0])
    totals = np.stack([np.ones(4), x, y, x * x, y * y, x * y], 1).sum(0)
    assert correlation(totals) == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert correlation(np.array([3.0, 3, 3, 3, 3, 3])) == 0


def test_the_calibration_error_is_the_gap_between_sure_and_right_bin_by_bin() -> None:
    confidence, right = torch.tensor([0.95, 0.91, 0.55, 0.58, 1.0]), torch.tensor([1.0, 0.0, 1.0, 1.0, 1.0])
    totals = binned(confidence, right).sum(0).double().numpy()
    by_hand = (abs(2.0 - (0.95 + 0.91 + 1.0)) + abs(2.0 - (0.55 + 0.58))) / 5
    assert totals.shape == (3 * BINS,)
    assert calibration_error(totals) == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("adaptation", [FullFineTuning(), Lora(rank=4)])
def test_a_shared_prompt_changes_neither_loss_nor_gradients(model: Any, pairs: list[Example], adaptation: Any) -> None:
    method = reward_model(model, BradleyTerry(), adaptation)
    rows = [method.encode(pair, model.tokenizer) for pair in pairs]
    assert all(row.shared > 10 for row in rows)

    def outcome(batch: Batch) -> tuple[float, dict[str, torch.Tensor]]:
        method.network.zero_grad()
        loss = method.loss(batch)
        loss.sum.backward()
        return loss.sum.item(), {n: w.grad.clone() for n, w in method.network.named_parameters() if w.grad is not None}

    packed = collate([rows[:3], rows[3:]])
    assert packed.prefix_of
    (ours, gradients), (theirs, whole) = outcome(packed), outcome(without_shared_prefixes(packed))
    assert ours == pytest.approx(theirs, rel=1e-5)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, whole[name], rtol=1e-5, atol=1e-5)


def test_the_reward_is_read_where_transformers_reads_it(model: Any, pairs: list[Example]) -> None:
    network = SequenceClassification(model, 1).network().eval()
    method = RewardModel(model, FullFineTuning(), lambda *_: None, objective=BradleyTerry())
    sequences = [sequence for pair in pairs for sequence in method.encode(pair, model.tokenizer).sequences]
    ours = reward_scores(network, sequences)[:, 0]
    with torch.no_grad():
        theirs = [float(network(input_ids=torch.tensor(each.ids)[None].long()).logits) for each in sequences]
    assert ours.tolist() == pytest.approx(theirs, abs=1e-5)


def test_steps_are_judged_at_their_last_tokens(model: Any) -> None:
    example = {
        "messages": [{"role": "user", "content": "What is 2 + 3 + 4?"}],
        "steps": ["2 + 3 is 5.", "5 + 4 is 8.", "So it is 8."],
        "step_labels": [True, False, 0.25],
    }
    objective = ProcessReward()
    row = objective.encode(example, model.tokenizer)
    (sequence,) = row.sequences
    batch = collate([[row]])
    positions = objective.positions(batch).tolist()
    assert sequence.weights[positions].tolist() == [3.0, 2.0, 2.25]
    assert positions[-1] == len(sequence) - 1
    text = model.tokenizer.decode
    assert text(sequence.ids[: positions[0] + 1]).endswith("2 + 3 is 5.")
    assert text(sequence.ids[: positions[1] + 1]).endswith("5 + 4 is 8.")
    outputs = torch.tensor([[1.0], [2.0], [-1.0]])
    expected = [-math.log(s(1)), -math.log(s(-2)), -0.25 * math.log(s(-1)) - 0.75 * math.log(s(1))]
    assert objective.losses(outputs, batch).tolist() == pytest.approx(expected)
    assert objective.statistics(outputs, batch)["step_accuracy"][:, 0].tolist() == [1, 0, 1]
    measured = reward_model(model, objective).measured([row, row])
    assert measured["loss"][:, 1].tolist() == [3.0, 3.0]
    with pytest.raises(DataError, match="3 steps and 1 labels"):
        objective.encode({**example, "step_labels": [True]}, model.tokenizer)


def test_what_a_text_was_rated_is_read_from_its_column(model: Any) -> None:
    example = {"text": "A lovely bow.", "messages": [], "rating": 2.0, "label": "good"}
    row = RatingRegression(middle=1.0, spread=4.0).encode(example, model.tokenizer)
    assert row.values == {"rating": 0.25}
    assert "A lovely bow." in model.tokenizer.decode(row.sequences[0].ids)
    assert RatingClassification(labels=["bad", "good"]).encode(example, model.tokenizer).values == {"label": 1.0}
    with pytest.raises(DataError, match="none of bad, best"):
        RatingClassification(labels=["bad", "best"]).encode(example, model.tokenizer)


def test_the_same_head_begins_each_time_and_nothing_else_changes(model: Any) -> None:
    one, two = (SequenceClassification(model, 2).network() for _ in range(2))
    assert torch.equal(one.score.weight, two.score.weight)
    assert with_classification_head(one, 2, None) is one
    with pytest.raises(RecipeError, match="2 outputs, and 1"):
        with_classification_head(one, 1, None)
    plain = dict(model.network().named_parameters())
    for name, weight in one.model.named_parameters():
        assert torch.equal(weight, plain[f"model.{name}"])


def test_a_language_model_gives_no_rewards_and_a_reward_model_no_answers(model: Any) -> None:
    from luthier.data.prompts import ChatPrompt
    from luthier.inference.predictor import NetworkPredictor

    asked = [[{"role": "user", "content": "Hm?"}]]
    with pytest.raises(RecipeError, match="is no reward model"):
        NetworkPredictor(model.network(), model.tokenizer, ChatPrompt()).rewards(asked)
    with pytest.raises(RecipeError, match="generates no text"):
        NetworkPredictor(SequenceClassification(model, 1).network(), model.tokenizer, ChatPrompt()).answers(asked)


def test_learning_from_pairs_tells_chosen_from_rejected(model: Any, pairs: list[Example]) -> None:
    method = reward_model(model, BradleyTerry())
    rows = [method.encode(pair, model.tokenizer) for pair in pairs]
    optimizer = torch.optim.AdamW(method.network.parameters(), lr=3e-3)
    for _ in range(25):
        loss = method.loss(collate([rows]))
        optimizer.zero_grad()
        (loss.sum / loss.weight).backward()
        optimizer.step()
    assert method.measured(rows)["reward_accuracy"][:, 0].sum() == 4


@pytest.mark.parametrize("adaptation", [FullFineTuning(), Lora(rank=4)])
def test_the_head_that_begins_at_random_moves_faster_than_the_rest(model: Any, adaptation: Any) -> None:
    method = RewardModel(model, adaptation, AdamW(Constant(), lr=2.0), objective=BradleyTerry(), head_rate=7.0)
    method.steps = 1
    method.configure_model()
    groups = method.configure_optimizers()["optimizer"].param_groups
    of = {id(weight): group["initial_lr"] for group in groups for weight in group["params"]}
    rates = {name: of[id(w)] for name, w in method.network.named_parameters() if w.requires_grad}
    assert {rate for name, rate in rates.items() if "score" in name} == {14.0}
    assert {rate for name, rate in rates.items() if "score" not in name} == {2.0}


CONVERSATIONS = [
    [{"role": "user", "content": "Which wood?"}, {"role": "assistant", "content": said}]
    for said in ("Spruce.", "Iron!")
]


@pytest.mark.parametrize(
    "adaptation",
    [
        "lora",
        "full",
        "pissa",
        *(
            pytest.param(name, marks=pytest.mark.exhaustive)
            for name in ("olora", "vera", "eva", "ia3", "boft", "oft", "loha", "lokr", "lisa", "adalora", "dora")
        ),
    ],
)
def test_a_reward_model_is_an_artifact_for_luthier_and_for_transformers(adaptation: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = command("method=reward_model", f"adaptation={adaptation}", "debug=tiny", f"hydra.run.dir={run}")
    assert done.returncode == 0, done.stderr
    record = json.loads((run / "record.json").read_text())
    measured = {comparison["name"] for comparison in record["comparisons"]}
    assert measured == {"loss", "reward_accuracy", "reward_margin", "calibration_error"}
    assert "talk to it" not in record["next_commands"]
    assert "pipeline_tag: text-classification" in (run / "MODEL_CARD.md").read_text()
    loaded = luthier.load(run)
    said = loaded.rewards(CONVERSATIONS)
    assert said.shape == (2,)
    assert said[0] != said[1]
    loaded.export(tmp_path / "plain")
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "plain").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "plain")
    for conversation, ours in zip(CONVERSATIONS, said, strict=True):
        inputs = tokenizer.apply_chat_template(conversation, return_tensors="pt", return_dict=True)
        with torch.no_grad():
            assert float(plain(**inputs).logits) == pytest.approx(float(ours), abs=1e-5)


@pytest.mark.parametrize("adaptation", ["prefix", "p_tuning", "prompt_tuning"])
def test_virtual_tokens_are_refused_beside_a_new_head(adaptation: str, tmp_path: Path) -> None:
    done = command("method=reward_model", f"adaptation={adaptation}", "debug=tiny", f"hydra.run.dir={tmp_path}")
    assert done.returncode == 2
    assert "has a head to train" in done.stderr


def test_a_row_of_one_sequence_is_never_shared() -> None:
    row = Row((TokenSequence(np.array([1, 2], np.int32), np.array([0, 1], np.float32)),))
    assert collate([[row]]).prefix_of == {}
