from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import termios

import pytest

from luthier.training.progress import Progress, sparkline


def record(step, loss=2.5, seconds=2.0, rate=1234.0):
    return {"step": step, "loss": loss, "seconds": seconds, "tokens_per_second": rate}


def test_off_a_terminal_there_is_a_plain_line_now_and_then_and_one_for_the_last_step():
    out, now = io.StringIO(), [0.0]
    progress = Progress(stream=out, seconds=10, clock=lambda: now[0])
    progress.start(total=9)
    for step in range(1, 10):
        now[0] += 4
        progress.tell(record(step, loss=3 - step / 10))
    said = out.getvalue().splitlines()
    assert [line.split()[1] for line in said] == ["1/9", "4/9", "7/9", "9/9"]
    assert said[0] == "step 1/9  loss 2.9000  1,234 tokens/s  0:00:16 left"
    assert "\x1b" not in out.getvalue()


def test_without_a_known_end_nothing_is_guessed():
    out = io.StringIO()
    progress = Progress(stream=out)
    progress.start(total=0)
    progress.tell(record(3))
    assert out.getvalue() == "step 3  loss 2.5000  1,234 tokens/s\n"


def test_the_time_left_comes_from_the_pace_and_is_sane_after_a_resume():
    progress = Progress(stream=io.StringIO())
    progress.start(total=100, step=90)
    progress.tell(record(91, seconds=10))
    assert progress.line(91).endswith("0:01:30 left")


@pytest.mark.parametrize(
    ("values", "drawn"),
    [([], ""), ([1.0], "▁"), ([3, 2, 1], "█▅▁"), ([1, float("nan"), 2], "▁!█"), ([float("inf")], "!")],
)
def test_a_sparkline_draws_low_to_high(values, drawn):
    assert sparkline(list(map(float, values))) == drawn


@pytest.fixture
def on_a_terminal(monkeypatch):
    """What the bar writes to a terminal of 80 columns."""
    for name in ("NO_COLOR", "COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")

    def show() -> str:
        main, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        with os.fdopen(end, "w", encoding="utf-8") as stream:
            progress = Progress(stream=stream)
            progress.start(total=1000000)
            for step in (1, 2, 999999, 1000000):
                progress.tell(record(step, loss=12.3456789 / step, seconds=3600.0, rate=123456.0))
            progress.stop()
            stream.flush()
            return os.read(main, 65536).decode()

    return show


def test_on_a_terminal_it_is_a_live_bar_of_at_most_80_columns(on_a_terminal, capfd):
    shown = on_a_terminal()
    assert "loss 12.3457" in shown
    assert "tok/s" in shown
    assert "\x1b[36m" in shown
    for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)):
        assert len(line) <= 80
    assert capfd.readouterr().out == "", "stdout carries data, never progress"


def test_no_color_means_no_colour(on_a_terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*m", on_a_terminal().replace("\x1b[0m", ""))
