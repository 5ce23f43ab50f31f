"""`luthier -m`: one process for each job, and the score comes back in a file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from luthier.errors import DataError, LuthierError, NumericsError, ResourceError
from luthier.training import child_processes
from luthier.training.child_processes import failure
from luthier.workflows.sweeps import jobs

RECIPE = (
    "debug=tiny",
    "stages=[fit,evaluate]",
    "name=s",
    "batch.length=128",
    "evaluation.general_examples=0",
    "evaluation.samples=0",
)


def luthier(folder, *words, wait=True):
    process = subprocess.Popen(
        [sys.executable, "-m", "luthier", "-m", *RECIPE, *words],
        cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    if wait:
        process.out, process.err = process.communicate(timeout=280)
    return process


def score(folder, job):
    return json.loads((folder / "sweeps" / "s" / str(job) / "score.json").read_text())["score"]


def test_each_job_runs_and_one_that_fails_does_not_end_the_others(tmp_path):
    done = luthier(tmp_path, "score=nonsense,loss")
    assert done.returncode != 0, "a sweep with a failed job says so"
    assert not (tmp_path / "sweeps" / "s" / "0" / "score.json").exists()
    assert 0 < score(tmp_path, 1) < 20
    assert done.err.count("nonsense") >= 2
    table = [line.split() for line in done.err.splitlines() if line.startswith(os.path.join("sweeps", "s"))]
    assert [row[:2] for row in table] == [["sweeps/s/0", "failed"], ["sweeps/s/1", f"{score(tmp_path, 1):.6g}"]]


def test_distributed_jobs_run_in_a_sweep(tmp_path):
    done = luthier(
        tmp_path, "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.max_steps=1",
        "hydra/sweeper=optuna", "hydra.sweeper.n_trials=1", "hydra.sweeper.sampler=random",
        "optimizer.lr=interval(1e-4,1e-2)",
    )  # fmt: skip
    assert done.returncode == 0, done.err
    results = (tmp_path / "sweeps" / "s" / "optimization_results.yaml").read_text()
    assert "complete: 1" in results
    metrics = (tmp_path / "sweeps" / "s" / "0" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in metrics] == [1]


def test_a_job_that_takes_too_long_is_ended_by_force_where_it_does_not_listen(monkeypatch):
    monkeypatch.setattr(jobs, "GRACE", 0.5)
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(99)"
    )
    began = time.monotonic()
    with pytest.raises(ResourceError, match="The job took more than 2 s and was ended"):
        jobs.process([sys.executable, "-c", deaf], timeout=2)
    assert time.monotonic() - began < 30
    assert not [child for child in psutil.Process().children() if "99" in " ".join(child.cmdline())]


def test_a_signal_ends_the_job_first_and_then_the_sweep(tmp_path):
    process = luthier(tmp_path, "trainer.max_steps=100000,100001", "trainer.epochs=100000", wait=False)
    metrics, until = tmp_path / "sweeps" / "s" / "0" / "metrics.jsonl", time.monotonic() + 120
    while not (metrics.exists() and metrics.read_text()):
        assert time.monotonic() < until, process.communicate()
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert list((tmp_path / "sweeps" / "s" / "0" / "checkpoints").glob("step-*/MANIFEST.json"))
    assert not (tmp_path / "sweeps" / "s" / "1").exists()


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (3, DataError, "code 3 (data)"),
        (4, NumericsError, "code 4"),
        (-9, ResourceError, "SIGKILL"),
        (77, LuthierError, "77"),
    ],
)
def test_an_exit_code_becomes_the_error_that_it_stands_for(code, kind, said):
    error = failure("The job a=1", code, where="sweeps/s/0")
    assert type(error) is kind
    assert said in str(error)


@pytest.mark.parametrize(
    "folder",
    [
        "runs/a",
        "runs/with space",
        "runs/it's, (here)=[x]{y}",
        'runs/"quoted"',
        "runs/back\\slash",
        "runs/end\\",
        "runs/$HOME ${x}",
    ],
)
def test_any_folder_survives_hydras_grammar(folder):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    word = child_processes.command([], [], folder)[-2]
    assert OverridesParser.create().parse_override(word).value() == folder
