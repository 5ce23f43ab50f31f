"""SIGTERM and SIGINT save and end, SIGUSR1 saves and goes on, a second signal ends at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from luthier.training import checkpoint_files
from tests.framework.training.test_exact_resume import events, lines


@pytest.mark.parametrize(
    ("hook", "batch", "step"),
    [("batch_end", 5, 3), ("batch_start", 8, 4), ("before_step", 9, 5), ("validation", 10, 6)],
)
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_saves_the_last_whole_step_and_ends(tiny, uninterrupted, tmp_path, hook, batch, step, name, code):
    order = tiny.Order(tmp_path / "run", every=100, fault=(hook, batch, name))
    assert tiny.finish(order) == code
    newest = checkpoint_files.newest(order.folder / "checkpoints")
    assert checkpoint_files.step_of(newest) == step
    assert events(order.folder, "interrupted")[0]["code"] == code
    assert [line["step"] for line in lines(order.folder)] == list(range(1, step + 1))
    assert tiny.finish(tiny.Order(order.folder, resume="auto")) == 0
    assert (order.folder / "weights").read_text() == (uninterrupted / "weights").read_text()


def test_sigusr1_saves_and_goes_on(tiny, uninterrupted, tmp_path):
    order = tiny.Order(tmp_path / "run", every=0, keep=0, fault=("batch_end", 7, "SIGUSR1"))
    assert tiny.finish(order) == 0
    steps = [checkpoint_files.step_of(path) for path in checkpoint_files.checkpoints(order.folder / "checkpoints")]
    assert steps == [12, 4] or steps == [12, 5]
    assert (order.folder / "weights").read_text() == (uninterrupted / "weights").read_text()


def test_a_second_signal_ends_at_once_and_earlier_checkpoints_stay(tiny, tmp_path):
    order = tiny.Order(tmp_path / "run", fault=("batch_start", 8, "twice"))
    assert tiny.finish(order) == 143
    assert checkpoint_files.step_of(checkpoint_files.newest(order.folder / "checkpoints")) == 3
    assert events(order.folder, "interrupted") == []


def test_a_signal_while_waiting_for_data_is_answered_without_the_data(tiny, tmp_path):
    order = tiny.Order(tmp_path / "run", every=100, fault=("waiting", 0, ""))  # half a second for each batch
    process = tiny.start(order)
    file = order.folder / "metrics.jsonl"
    until = time.monotonic() + 60
    while not (file.exists() and file.read_text().count("\n") >= 2):
        assert time.monotonic() < until
        time.sleep(0.02)
    time.sleep(0.1)
    process.terminate()
    at = time.monotonic()
    process.join(30)
    assert process.exitcode == 143
    assert time.monotonic() - at < 5
    assert checkpoint_files.step_of(checkpoint_files.newest(order.folder / "checkpoints")) == 2


OUTSIDE = """
import os, signal, sys, time
from luthier.training.signals import Signals
with Signals() as signals:
    os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    time.sleep(0.1)
    print("went on", signals.save)
"""


@pytest.mark.parametrize(
    ("name", "code", "out"), [("SIGTERM", 143, ""), ("SIGINT", 130, ""), ("SIGUSR1", 0, "went on True\n")]
)
def test_outside_of_training_a_signal_ends_the_process_where_it_is(name, code, out):
    done = subprocess.run([sys.executable, "-c", OUTSIDE, name], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (code, out)


def test_the_handlers_that_were_there_come_back():
    from luthier.training.signals import Signals

    before = signal.getsignal(signal.SIGTERM)
    with Signals():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_hangup_is_ignored_under_nohup():
    code = (
        "import os, signal\nfrom luthier.training.signals import Signals\n"
        "with Signals(): os.kill(os.getpid(), signal.SIGHUP)"
    )
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    finally:
        signal.signal(signal.SIGHUP, former)


def test_the_interrupt_says_what_happened():
    from luthier.errors.interrupted import Interrupted

    interrupt = Interrupted(signal.SIGTERM)
    assert interrupt.as_json()["code"] == 143
    assert interrupt.as_json()["resumable"]
    assert "SIGTERM" in str(interrupt)
    assert os.name != "posix" or interrupt.code == 128 + signal.SIGTERM
