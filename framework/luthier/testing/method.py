"""What every method keeps to; inherit it, and say the answer, and what else a recipe with it needs.

class TestMine(MethodContract):
    answer = "method=mine"
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from safetensors import safe_open
from torch import Tensor

from luthier.errors import RecipeError
from luthier.inference import log_probabilities as scoring
from luthier.testing.part import PartContract
from luthier.testing.ranks import two_ranks
from luthier.testing.twin import twin
from luthier.workflows.parts import assemble

ALL = 64
"""More than the tiny data has examples: a step is made of all of them."""
STEPS = (
    "stages=[fit]", "trainer.max_steps=2", "trainer.epochs=2", f"batch.size={ALL}", "optimizer.lr=0.01",
    "optimizer.eps=0.001", "optimizer/schedule=constant", "trainer.clip=null",
)  # fmt: skip
OF_TIME = ("seconds", "tokens_per_second", "memory_bytes", "joules", "rollout_seconds", "tokens")
"""What metrics.jsonl has of the machine, and the tokens, which include those of prepared batches."""
WEIGHTS, METRICS = 3e-5, 1e-3
"""What sums in another order may differ by, in float32 over two steps."""


@dataclass(frozen=True)
class Update:
    """The weights that two optimizer steps moved, by name, and the metrics of each step."""

    weights: dict[str, Tensor]
    """The trainable weights by name, after the steps."""
    metrics: list[dict[str, float]]
    """What metrics.jsonl has of each step, without the figures of the machine."""

    def assert_same(self, other: Update) -> None:
        """AssertionError where the two differ by more than rounding."""
        assert self.weights.keys() == other.weights.keys()
        assert_same_weights(self.weights, other.weights)
        assert_same_metrics(self.metrics, other.metrics)


def assert_same_weights(some: dict[str, Tensor], others: dict[str, Tensor]) -> None:
    """AssertionError where some of the weights differ from the others by more than rounding."""
    far = {name: float((weight - others[name]).abs().max()) for name, weight in some.items()}
    assert max(far.values()) < WEIGHTS, max(far.items(), key=lambda one: one[1])


def assert_same_metrics(some: list[dict[str, float]], others: list[dict[str, float]]) -> None:
    """AssertionError where the metrics of a step differ by more than rounding."""
    for mine, theirs in zip(some, others, strict=True):
        assert mine.keys() == theirs.keys()
        for name, value in mine.items():
            assert theirs[name] == pytest.approx(value, rel=METRICS, abs=METRICS, nan_ok=True), name


def update(folder: Path, *words: str, plugins: tuple[str, ...] = ()) -> Update:
    """What two steps of the tiny twin do."""
    run = twin(folder, *STEPS, *words, plugins=plugins)
    run.carry_out()
    moved = {name: weight for name, weight in run.method.named_parameters() if weight.requires_grad}
    return Update({name: weight.detach().clone() for name, weight in moved.items()}, metrics_of(folder))


def metrics_of(folder: Path) -> list[dict[str, float]]:
    """The metrics of each step, without those of the machine."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in line.items() if name not in OF_TIME} for line in lines]


class MethodContract(PartContract):
    """Trains tiny models with the method and `words`, in which the answer may stand, too.

    `cannot` names what the suite shall see refused when the recipe is composed: packing.
    """

    question: ClassVar[str] = "method"
    cannot: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def recipe(cls) -> tuple[str, ...]:
        """The words of a recipe with the method, without packing where it cannot be."""
        return (*super().recipe(), *(["batch.packing=false"] if "packing" in cls.cannot else []))

    def made(self) -> Any:
        """What prepares its batches: the rest of its state is that of the network."""
        composition = self.composed()
        return assemble(composition.config, composition.trust).method.preparation

    @pytest.fixture(scope="class")
    def whole(self, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Update:
        """Two steps, each in one forward pass of all examples."""
        folder = tmp_path_factory.mktemp("whole") / "run"
        return update(
            folder, *request.cls.recipe(), "batch.packing=false", f"batch.micro={ALL}", plugins=request.cls.plugins
        )

    def test_it_measures_what_it_says(self, tmp_path: Path) -> None:
        """Statistics of the loss and of each of `measures`; what it calls a likelihood is one, as of a perplexity."""
        run = self.run(tmp_path / "run")
        examples = list(run.data.examples("train"))[:3]  # before the network is loaded, as in a run: see `learn`
        run.method.load()
        measured = run.predictor.measured(examples)
        assert measured.keys() == {"loss", *run.method.measures}
        assert all(len(statistics) == len(examples) for statistics in measured.values())
        for name, measure in run.method.measures.items():
            assert measure.better in {"higher", "lower"}
            assert np.shape(measure.reduce(measured[name].sum(0))) == ()
        for example, (total, weight) in zip(examples if run.method.likelihood else (), measured["loss"], strict=False):
            sequences = run.method.encode(run.parts.prompt(example), run.model.tokenizer).sequences
            log_probs = scoring.log_probs(run.method.network, list(sequences))
            surprise = -sum(float((one.weights * each).sum()) for one, each in zip(sequences, log_probs, strict=True))
            assert total == pytest.approx(surprise, rel=1e-3), "no sum of -log p: say `likelihood = False`"
            assert weight == pytest.approx(sum(float(one.weights.sum()) for one in sequences))

    @pytest.mark.parametrize("micro", [1, 3])
    def test_the_update_does_not_depend_on_micro_batches(self, whole: Update, micro: int, tmp_path: Path) -> None:
        whole.assert_same(
            update(
                tmp_path / "run", *self.recipe(), "batch.packing=false", f"batch.micro={micro}", plugins=self.plugins
            )
        )

    def test_the_update_does_not_depend_on_packing(self, whole: Update, tmp_path: Path) -> None:
        words = (*self.recipe(), "batch.packing=true", "batch.micro=1")
        if "packing" in self.cannot:
            with pytest.raises(RecipeError):
                twin(tmp_path / "refused", *words, plugins=self.plugins)
            return
        whole.assert_same(update(tmp_path / "run", *words, plugins=self.plugins))

    def test_the_update_does_not_depend_on_ranks(self, whole: Update, tmp_path: Path) -> None:
        words = (*STEPS, *self.recipe(), "batch.packing=false", "batch.micro=2")
        known = {name.removeprefix("network."): weight for name, weight in whole.weights.items()}
        for file in two_ranks(tmp_path / "ranks", *words, plugins=self.plugins):
            assert_same_weights(_tensors(file), known)
        assert_same_metrics(whole.metrics, metrics_of(tmp_path / "ranks"))


def _tensors(file: Path) -> dict[str, Tensor]:
    with safe_open(file, framework="pt") as tensors:
        return {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118 - it is no mapping
