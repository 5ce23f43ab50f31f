"""The method against a plain loop over whole logits, and what a teacher may and may not do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from luthier.contracts.batch import Row
from luthier.contracts.examples import Example
from luthier.data.collate import collate
from luthier.errors import RecipeError
from luthier.models.random import Random
from luthier_distillation import signals
from luthier_distillation.distill import Distillation
from tests.command import luthier
from tests.plugins.distillation.tiny_networks import distillation

SOFTENED = signals.ForwardKl(temperature=2.0)
OTHER = {"num_hidden_layers": 3, "hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2}


def rows(method: Distillation, examples: list[Example]) -> list[Row]:
    return [method.encode(example, method.model.tokenizer) for example in examples]


def by_hand(network: torch.nn.Module, teachers: dict[Random, float], encoded: list[Row]) -> torch.Tensor:
    """The forward KL divergence at a temperature of 2, row by row, all logits whole."""
    total = torch.zeros(())
    for row in encoded:
        ids = torch.from_numpy(row.sequences[0].ids).long()[None]
        weights = torch.from_numpy(row.sequences[0].weights)[1:]
        q = torch.log_softmax(network(input_ids=ids).logits[0, :-1] / 2, dim=-1)
        with torch.no_grad():
            each = [
                share * torch.softmax(model.network().eval()(input_ids=ids).logits[0, :-1] / 2, dim=-1)
                for model, share in teachers.items()
            ]
        p = torch.stack(each).sum(0)
        total = total + 4 * ((p * (p.log() - q)).sum(-1) * weights).sum()
    return total


def test_packed_and_chunked_it_is_the_plain_loop(student: Random, teacher: Random, examples: list[Example]) -> None:
    other = Random(config=OTHER, vocabulary=400, seed=5)
    method = distillation(student, teacher, signal=SOFTENED, teachers={"other": other}, teacher_weights={"other": 3.0})
    encoded = rows(method, examples)
    expected = by_hand(method.network, {teacher: 0.25, other: 0.75}, encoded)
    expected.backward()
    gradients = {name: weight.grad.clone() for name, weight in method.network.named_parameters()}
    method.network.zero_grad()
    loss = method.loss(collate([encoded[:3], encoded[3:]]))
    loss.sum.backward()
    assert loss.sum.item() == pytest.approx(expected.item(), rel=1e-4)
    assert loss.weight.item() == sum(float(row.sequences[0].weights.sum()) for row in encoded)
    for name, weight in method.network.named_parameters():
        assert torch.allclose(weight.grad, gradients[name], rtol=1e-3, atol=1e-4), name
    for network, *_ in method.teacher_networks._networks(torch.device("cpu")):
        assert all(weight.grad is None for weight in network.parameters())
    assert not any("teacher" in name for name in method.state_dict())


def test_held_out_rows_are_measured_by_their_tokens_and_against_the_teacher(
    student: Random, teacher: Random, examples: list[Example]
) -> None:
    method = distillation(student, teacher, signal=SOFTENED)
    encoded = rows(method, examples)
    statistics = method.measured(encoded)
    assert statistics["loss"] == pytest.approx(method.losses(encoded), rel=1e-4)
    assert statistics["teacher_distance"][:, 0].sum() == pytest.approx(
        by_hand(method.network, {teacher: 1.0}, encoded).item(), rel=1e-4
    )
    itself = distillation(teacher, teacher, signal=SOFTENED).measured(encoded)
    assert (itself["teacher_agreement"][:, 0] == itself["teacher_agreement"][:, 1]).all()
    assert abs(itself["teacher_distance"][:, 0]).max() < 1e-4
    assert (statistics["teacher_agreement"][:, 0] < statistics["teacher_agreement"][:, 1]).any()


def test_hard_labels_load_no_teacher(student: Random, teacher: Random, examples: list[Example]) -> None:
    method = distillation(student, teacher, signal=signals.HardLabels())
    batch = collate([rows(method, examples)])
    assert method.loss(batch).sum.item() == pytest.approx(method.cross_entropy(batch).sum.item(), rel=1e-5)
    assert method.teacher_networks._loaded == []


def test_a_teacher_with_another_vocabulary_is_refused(student: Random) -> None:
    with pytest.raises(RecipeError, match=r"400 and 300 tokens, of which \d+ have the same number") as caught:
        distillation(student, Random(vocabulary=300))
    assert caught.value.where == "method.teacher"


def test_weights_name_teachers_that_are_there(student: Random, teacher: Random) -> None:
    for wrong, why in (
        ({"missing": 1.0}, "no teacher 'missing'"),
        ({"teacher": 0.0}, "teacher is 0.0"),
    ):
        with pytest.raises(RecipeError, match=why):
            distillation(student, teacher, teacher_weights=wrong)


RECIPE = """# @package _global_
# Two teachers, and the data's own tokens.   luthier recipe=two
defaults:
  - /method/signal@method.signal.signals.soft: jensen_shannon
  - /method/signal@method.signal.signals.hard: hard_labels
  - /model@method.teachers.second: smollm2
  - override /model: smollm2
  - override /model@method.teacher: smollm2
  - override /method: distill
  - override /method/signal: weighted
method: {signal: {weights: {hard: 0.1}}}
"""


def test_a_recipe_with_two_teachers_runs_as_its_tiny_twin_and_leaves_the_student_alone(tmp_path: Path) -> None:
    (tmp_path / "recipes/recipe").mkdir(parents=True)
    (tmp_path / "recipes/recipe/two.yaml").write_text(RECIPE)
    done = luthier("recipe=two", "debug=tiny", "method.teacher.seed=7", "hydra.run.dir=run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run/record.json").read_text())
    assert "(50%)" in record["method"]["Teacher"]
    measured = {each["name"] for each in record["comparisons"]}
    assert {"loss", "perplexity", "teacher_agreement", "teacher_distance"} <= measured
    steps = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert 0 < steps[0]["loss"] != steps[0]["cross_entropy"]
    weights = {path.name: path.stat().st_size for path in (tmp_path / "run/artifact").glob("*.safetensors")}
    assert weights.keys() == {"model.safetensors"}
    lines = (tmp_path / "run/artifact/step_wise_training_metrics.csv").read_text().splitlines()
    assert lines[1].endswith(","), "a divergence has no perplexity"
