from __future__ import annotations

import math

import pytest

from luthier.contracts.scores import Score
from luthier.reporting.record import (
    DataFacts,
    ExpertLoad,
    LedgerToken,
    ModelFacts,
    RecordedLedger,
    RunRecord,
    Sample,
    ScoreComparison,
    TrainingFacts,
)


@pytest.fixture
def record():
    """A run with something in every field."""
    return RunRecord(
        name="tone-1",
        recipe="tone",
        purpose="Answer in our tone.",
        started="2026-11-21T11:20:03+0000",
        seconds=372.4,
        seed=3,
        command="luthier recipe=tone",
        answers={"method": "sft", "adaptation": "lora", "data": "jsonl"},
        resolved="method:\n  _target_: luthier_sft.sft.SFT\n",
        commit="0123abc",
        model=ModelFacts(
            name="Tiny", base="house/tiny", architecture="LlamaForCausalLM", parameters=1000, trained=31,
            licence="apache-2.0", note="Weights are random.", lineage={"kind": "random"},
        ),
        training=TrainingFacts(
            steps=60, epochs=1.5, tokens=9000, tokens_per_second=251.3, seconds=248.0,
            productive=0.973, peak_memory=2_340_000_000, device="cpu, 2 threads", precision="float32",
            resumed_from="step-20", optimizer={"name": "adamw", "learning rate": "0.001"},
        ),
        data=[DataFacts(name="reviews.jsonl", licence="MIT", digest="d1g", counts={"read": 90, "deduplicated": 4})],
        splits={"train": 70, "test": 16},
        curves={
            "loss": [(step, 3 * math.exp(-step / 20)) for step in range(1, 61)],
            "validation_loss": [(20, 1.3), (40, 0.6), (60, 0.4)],
            "learning_rate": [(step, 1e-4 * step / 60) for step in range(1, 61)],
        },
        experts=[ExpertLoad(layer="model.layers.0.mlp", shares=[0.625, 0.375, 0.0], variation=0.77)],
        comparisons=[
            ScoreComparison(
                name="accuracy", before=Score(0.5, 0.4, 0.6, 16), after=Score(0.875, 0.75, 1.0, 16),
                change=Score(0.375, 0.2, 0.55, 16), verdict="better",
            ),
            ScoreComparison(
                name="general_loss", before=Score(3.41, 3.3, 3.5, 64, "lower"),
                after=Score(3.42, 3.3, 3.5, 64, "lower"),
                change=Score(0.01, -0.01, 0.03, 64, "lower"), verdict="not distinguishable",
            ),
            ScoreComparison(name="chrf", after=Score(31.25, 20.0, 40.0, 16)),
        ],
        evaluated={"test: examples evaluated": 16},
        samples=[
            Sample(
                conversation=[{"role": "user", "content": "Hi"}], reference="Yo", before="Good day", after="Yo!",
            )
        ],
        ledger=RecordedLedger(
            where="reviews.jsonl:7",
            tokens=[LedgerToken(text="Hi", role="user"), LedgerToken(text="Yo\n", role="assistant", weight=1.0)],
        ),
        versions={"luthier": "0.1.0", "torch": "2.13.0"},
        warnings=["4 records were skipped."],
        artifact="artifact",
        artifact_kind="adapter",
        next_commands={"talk to it": "luthier chat runs/tone-1"},
    )  # fmt: skip
