"""`trainer.precision=auto`: what the machine is faster in, decided once and written down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from luthier.cli.session import catalog
from luthier.config import precision
from luthier.config.compose import Composer
from luthier.plugins.registry import Plugins
from luthier.training.precision import faster, in_words, is_worth, speedup
from luthier.workflows.cached_runs.cached_run import CachedRun
from luthier.workflows.precision import settle
from tests.command import luthier

CPU = torch.device("cpu")
AUTO = ("debug=tiny", "trainer.precision=auto", "stages=[fit]")
OTHER = {"fp32": "bf16", "bf16": "fp32"}


@pytest.fixture
def composer() -> Composer:
    plugins = Plugins()
    return Composer(plugins, catalog(plugins))


def _precision_of(run: Path) -> str:
    return str(yaml.safe_load((run / "resolved.yaml").read_text())["trainer"]["precision"])


def test_auto_is_the_default_of_every_trainer(composer: Composer) -> None:
    for answer in ("cpu", "gpu", "ddp"):
        assert composer.compose([f"trainer={answer}"]).config.trainer.precision == "auto"


def test_what_is_faster_is_measured_and_float64_is_not() -> None:
    assert speedup(torch.float32) == pytest.approx(1, rel=0.2)
    assert speedup(torch.float64) < 0.8, "no processor multiplies twice the bits faster"
    assert not is_worth(CPU, torch.float64)
    assert faster(CPU) == ("bf16" if speedup(torch.bfloat16) > 1.25 else "fp32")


def test_what_was_measured_once_is_what_the_next_process_decides_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path))
    speedup.cache_clear()
    measured = speedup(torch.float16)
    (kept,) = (tmp_path / "precision").glob("*/times_as_fast.json")
    assert json.loads(kept.read_text()) == measured
    speedup.cache_clear()
    monkeypatch.setattr(torch, "mm", lambda *_: pytest.fail("it was measured again"))
    assert speedup(torch.float16) == measured
    speedup.cache_clear()


def test_a_cache_that_cannot_be_made_is_measured_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "file" / "cache"))
    speedup.cache_clear()
    assert speedup(torch.bfloat16) > 0
    speedup.cache_clear()


def test_what_a_gpu_computes_in_is_what_torch_says_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "T4")
    for has, chosen in ((False, "fp32"), (True, "bf16")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, has=has: has)
        assert faster(gpu) == chosen
        assert f"(T4) {'has' if has else 'has no'} bfloat16" in in_words(gpu, torch.bfloat16)


def test_the_decision_is_said_written_down_and_kept_by_the_run_that_goes_on(tmp_path: Path) -> None:
    first = luthier(*AUTO, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    (run,) = (tmp_path / "runs").iterdir()
    chosen = faster(CPU)
    assert _precision_of(run) == chosen
    words = {"fp32": "float32", "bf16": "bfloat16 autocast"}[chosen] + ", as this processor multiplies in bfloat16"
    assert f"precision: {words}" in " ".join(first.stderr.split())
    assert json.loads((run / "record.json").read_text())["training"]["precision"].startswith(words)
    assert words in (run / "report.html").read_text()

    (run / "record.json").unlink()  # as if it had been killed before its end, on a machine that is faster in the other
    resolved = run / "resolved.yaml"
    resolved.write_text(resolved.read_text().replace(f"precision: {chosen}", f"precision: {OTHER[chosen]}"))
    again = luthier(*AUTO, "resume=auto", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [run.name], "a run that decided otherwise is found"
    assert _precision_of(run) == OTHER[chosen]
    assert "as the run began" in again.stderr
    emulated = OTHER[chosen] == "bf16"
    assert ("trainer.precision=bf16: this processor multiplies in bfloat16" in again.stderr) == emulated

    anew = luthier(*AUTO, "resume=never", f"name={run.name}", cwd=tmp_path)
    assert anew.returncode == 0, anew.stderr
    assert _precision_of(run) == chosen


def test_plan_says_what_was_decided_and_notes_what_is_emulated(tmp_path: Path) -> None:
    decided = json.loads(luthier("plan", "debug=tiny", "trainer.precision=auto", "--json", cwd=tmp_path).stdout)
    given = json.loads(luthier("plan", "debug=tiny", f"trainer.precision={faster(CPU)}", "--json", cwd=tmp_path).stdout)
    assert decided["precision"].startswith(f"{given['precision']}, as this processor")
    assert decided["hash"] == given["hash"]
    assert decided["notes"] == given["notes"] == []
    asked = luthier("plan", "debug=tiny", "trainer.precision=bf16", "model.dtype=bfloat16", cwd=tmp_path).stdout
    assert ("trainer.precision=bf16: this processor multiplies in bfloat16" in asked) == (faster(CPU) == "fp32")


def test_weights_in_a_dtype_that_is_emulated_are_noted(composer: Composer) -> None:
    config = composer.compose(["trainer.precision=fp32", "model.dtype=bfloat16"])
    assert bool(settle(config).notes) == (faster(CPU) == "fp32")
    assert not settle(composer.compose(["trainer.precision=fp32"])).notes


def test_a_cached_run_is_named_by_what_was_decided(composer: Composer) -> None:
    open_run, given = (
        CachedRun.compose(composer, ["debug=tiny", f"trainer.precision={one}"]) for one in ("auto", faster(CPU))
    )
    assert open_run.key == given.key
    assert open_run.settled.decided == (f"trainer.precision={faster(CPU)}",)
    assert open_run.key != CachedRun.compose(composer, ["debug=tiny", f"trainer.precision={OTHER[faster(CPU)]}"]).key


def test_a_setting_of_that_name_that_means_something_else_is_left_alone() -> None:
    assert precision.decides({"_target_": "luthier.training.trainer.Trainer"})
    assert not precision.decides({"_target_": "luthier.evaluation.metrics.chrf.Chrf"})


def test_a_device_that_is_not_there_is_left_to_the_trainer(composer: Composer) -> None:
    if not torch.cuda.is_available():
        composition = composer.compose(["trainer=gpu"])
        assert settle(composition) is composition
