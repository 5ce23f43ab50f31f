"""metrics.jsonl and events.jsonl: complete, in order, nothing twice, strict JSON."""

from __future__ import annotations

import json

import pytest

from luthier.records.events import EventLog
from luthier.training.metrics_log import MetricsLog
from tests.framework.training.test_exact_resume import lines


def test_a_line_can_be_read_as_soon_as_it_is_written(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log.start_after(0)
    for step in (1, 2):
        log.write({"step": step, "loss": 0.5})
        assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == step


@pytest.mark.parametrize("half", ['{"step": 4, "lo', '{"step": 4, "loss": 1}', "\x00\x00\n"])
def test_half_a_line_of_a_killed_run_and_what_is_done_again_are_cut(tmp_path, half):
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(json.dumps({"step": step, "loss": 1.0}) + "\n" for step in (1, 2, 3)) + half)
    log = MetricsLog(file)
    assert log.start_after(2) == 1
    log.write({"step": 3, "loss": 2.0})
    assert [(line["step"], line["loss"]) for line in lines(tmp_path)] == [(1, 1.0), (2, 1.0), (3, 2.0)]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_beginning_starts_an_empty_file(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    MetricsLog(tmp_path / "metrics.jsonl").start_after(0)
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_each_step_has_all_measures(uninterrupted):
    first = lines(uninterrupted)[0]
    assert set(first) == {
        "step", "epoch", "loss", "gradient_norm", "learning_rate", "tokens",
        "seconds", "tokens_per_second", "memory_bytes",
    }  # fmt: skip
    assert first["learning_rate"] == 0.01, "the rate that the step used, not the next one"
    assert [line["tokens"] for line in lines(uninterrupted)] == [32, 32, 32, 32, 32, 16] * 2
    assert all(0 < line["seconds"] < 5 for line in lines(uninterrupted))


def test_what_is_not_finite_is_written_by_its_name(tmp_path):
    events = EventLog(tmp_path / "events.jsonl")
    events.tell("odd", values=[float("nan"), {"x": float("inf")}], fine=1.5)
    (line,) = (tmp_path / "events.jsonl").read_text().splitlines()

    def never(name):
        raise AssertionError(name)

    assert json.loads(line, parse_constant=never)["values"] == ["nan", {"x": "inf"}]


def test_events_hide_secrets_and_survive_half_a_line(tmp_path):
    events = EventLog(tmp_path / "events.jsonl")
    events.tell("error", message="HTTP 401 for https://me:hunter22@host/x with hf_abcdefghijklmnopqrstuvwx")
    with (tmp_path / "events.jsonl").open("a") as stream:
        stream.write('{"event": "cut sho')
    (only,) = events.read()
    assert "hunter22" not in only["message"]
    assert "hf_" not in only["message"]


def test_ranks_without_a_file_write_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    EventLog(None).tell("anything")
    assert list(tmp_path.iterdir()) == []
