"""A rank that a signal has stopped is noticed by the first one, though its process is alive."""

from __future__ import annotations

import signal
import subprocess

from luthier.errors import ResourceError
from luthier.training import launcher


def test_a_process_that_stands_still_by_a_signal_is_a_failure_that_is_named(monkeypatch):
    monkeypatch.setattr(launcher, "STOPPED", 0.5)
    process = subprocess.Popen(["sleep", "100"])
    try:
        watch = launcher.Watch([process])
        assert watch.first_failure(1) is None
        process.send_signal(signal.SIGSTOP)
        error = watch.first_failure(20)
        assert isinstance(error, ResourceError)
        assert "Rank 1 was stopped by a signal" in error.message
        assert error.resumable
    finally:
        process.kill()
        process.wait()
