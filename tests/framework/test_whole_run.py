"""A run as its user sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import luthier as product
from tests.command import luthier


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    done = luthier("debug=tiny", "adaptation=lora", "seed=3", "--json", f"hydra.run.dir={folder}")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["seed"] == 3, "stdout is the record and nothing else"
    return folder


def test_a_run_folder_holds_what_it_promises(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert names >= {
        "recipe.yaml", "resolved.yaml", "env.json", "metrics.jsonl", "events.jsonl", "report.html", "MODEL_CARD.md",
        "record.json", "checkpoints", "artifact", "scores", "run.log",
    }  # fmt: skip


def test_every_optimizer_step_is_a_line_of_metrics(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert all(line["tokens"] > 0 and line["loss"] > 0 for line in lines)


def test_the_step_metrics_are_bedrock_s_columns(run: Path) -> None:
    table = (run / "artifact" / "step_wise_training_metrics.csv").read_text().splitlines()
    assert table[0] == "step_number,epoch_number,training_loss,perplexity"
    assert [row.split(",")[0] for row in table[1:]] == ["0", "1"]


def test_the_record_counts_what_moved(run: Path) -> None:
    record = json.loads((run / "record.json").read_text())
    assert 0 < record["model"]["trained"] < record["model"]["parameters"]
    assert record["artifact_kind"] == "adapter"
    assert {each["name"] for each in record["comparisons"]} == {"loss", "perplexity", "general_loss"}
    assert all(each["change"] for each in record["comparisons"])


def test_a_run_that_moves_no_weight_leaves_an_artifact_too(tmp_path: Path) -> None:
    done = luthier("debug=tiny", "stages=[evaluate]", f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "run" / "artifact").glob("*.safetensors"))
    assert isinstance(product.load(tmp_path / "run").generate([[{"role": "user", "content": "Hello"}]])[0], str)


def test_a_score_that_nothing_measures_is_refused_before_the_run(tmp_path: Path) -> None:
    done = luthier("debug=tiny", "score=acuracy", f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 2
    assert "acuracy" in done.stderr
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_an_unknown_stage_names_the_nearest(tmp_path: Path) -> None:
    done = luthier("debug=tiny", "stages=[fitt]", f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 2
    assert "Did you mean fit?" in done.stderr
