"""A run as its user sees it."""

from __future__ import annotations

import json
import shlex
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
    assert {each["name"] for each in record["comparisons"]} == {
        "loss",
        "perplexity",
        "general_loss",
        "general_perplexity",
    }
    assert all(each["change"] for each in record["comparisons"])


def test_a_run_that_moves_no_weight_leaves_an_artifact_too(tmp_path: Path) -> None:
    done = luthier("debug=tiny", "stages=[evaluate]", f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "run" / "artifact").glob("*.safetensors"))
    assert isinstance(product.load(tmp_path / "run").generate([[{"role": "user", "content": "Hello"}]])[0], str)


def test_the_terminal_names_what_is_left_as_one_would_type_it(tmp_path: Path) -> None:
    done = luthier("debug=tiny", "stages=[evaluate]", "name=here", "evaluation.general_examples=0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "runs/here/artifact" in done.stdout
    assert "runs/here/report.html" in done.stdout


def test_the_command_that_does_it_again_has_the_flags_that_it_needs(tmp_path: Path) -> None:
    words = ["-p", "no:adapters", "debug=tiny", "stages=[evaluate]", "evaluation.general_examples=0"]
    done = luthier(*words, "--json", "name=here", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    command = shlex.split(json.loads(done.stdout)["command"])
    assert sorted(command) == sorted(["luthier", *words, "name=here"])
    assert "no:adapters" in command[command.index("-p") :]


def test_a_run_that_begins_anew_measures_anew_and_one_that_goes_on_differently_says_so(tmp_path: Path) -> None:
    words = ["debug=tiny", "name=here", "evaluation.general_examples=0", "--json"]
    assert luthier(*words, cwd=tmp_path).returncode == 0
    anew = luthier(*words, "model.seed=5", "resume=never", cwd=tmp_path)
    assert anew.returncode == 0, anew.stderr
    (loss,) = [each for each in json.loads(anew.stdout)["comparisons"] if each["name"] == "loss"]
    fresh = luthier(*words[:1], *words[2:], "model.seed=5", "stages=[baseline]", cwd=tmp_path)
    (expected,) = [each for each in json.loads(fresh.stdout)["comparisons"] if each["name"] == "loss"]
    assert loss["before"] == expected["before"]
    on = luthier(*words, "model.seed=5", "optimizer.lr=0.01", "trainer.max_steps=3", "resume=auto", cwd=tmp_path)
    assert on.returncode == 0, on.stderr
    assert any("optimizer.lr was" in warning for warning in json.loads(on.stdout)["warnings"])


def test_a_score_that_nothing_measures_is_refused_before_the_run(tmp_path: Path) -> None:
    done = luthier("debug=tiny", "score=acuracy", f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 2
    assert "acuracy" in done.stderr
    assert "RecipeError" in (tmp_path / "run" / "run.log").read_text(), "the log has the traceback"
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_an_unknown_stage_names_the_nearest(tmp_path: Path) -> None:
    done = luthier("debug=tiny", "stages=[fitt]", f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 2
    assert "Did you mean fit?" in done.stderr
