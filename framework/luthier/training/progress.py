"""Progress on stderr: a bar on a terminal, a plain line at intervals elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TextIO

import pytorch_lightning as pl
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

BARS = "▁▂▃▄▅▆▇█"
PLAIN_BARS = "._-=*#"
KEPT = 16
SMOOTHING = 0.9


class Progress(pl.Callback):
    """Shows step, loss with its last course, non-pad tokens a second and the time left; hears of steps by `tell`.

    On a terminal it is one live line of at most 80 columns, without colour under NO_COLOR; elsewhere a plain line
    every `seconds`, and one for the last step.
    """

    def __init__(
        self, *, stream: TextIO | None = None, seconds: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.stream = stream or sys.stderr
        self.seconds, self.clock = seconds, clock
        self.console = Console(file=self.stream, stderr=stream is None, highlight=False)
        self.steps = 0
        self._first = 0
        self._live: Live | None = None
        self._losses: deque[float] = deque(maxlen=KEPT)
        self._rate = self._pace = 0.0
        self._said = -math.inf

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        whole = getattr(pl_module, "steps", 0) or trainer.estimated_stepping_batches
        self.start(total=0 if math.isinf(whole) else int(whole), step=trainer.global_step)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self.stop()

    def say(self, text: str) -> None:
        """A line for a person, above the live one where there is one."""
        self.console.print(text, markup=False, soft_wrap=True)

    def start(self, *, total: int, step: int = 0) -> None:
        """Begin a course of `total` steps (0: nobody knows), `step` of which are done."""
        self.steps, self._first = total, step
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            self._live = Live(console=self.console, auto_refresh=False, transient=False, redirect_stdout=False)
            self._live.start()

    def stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def tell(self, record: dict[str, Any]) -> None:
        """Show a step; `record` is one of the heartbeat's."""
        step, seconds = int(record["step"]), float(record["seconds"])
        self._losses.append(float(record["loss"]))
        first = self._pace == 0.0
        self._pace = seconds if first else SMOOTHING * self._pace + (1 - SMOOTHING) * seconds
        rate = float(record["tokens_per_second"])
        self._rate = rate if first else SMOOTHING * self._rate + (1 - SMOOTHING) * rate
        now, last = self.clock(), step == self.steps
        if self._live is not None:
            if now - self._said >= 0.1 or last:
                self._said = now
                self._live.update(self._bar(step), refresh=True)
        elif now - self._said >= self.seconds or last:
            self._said = now
            print(self.line(step), file=self.stream, flush=True)

    def line(self, step: int) -> str:
        """The whole state in plain words, at most 80 columns."""
        total = f"/{self.steps}" if self.steps else ""
        left = f"  {self._left(step)} left" if self.steps else ""
        return f"step {step}{total}  loss {self._losses[-1]:.4f}  {self._rate:,.0f} tokens/s{left}"[:80]

    def _bar(self, step: int) -> Table:
        row = Table.grid(padding=(0, 1))
        cells: list[Any] = [Text(f"step {step}/{self.steps}" if self.steps else f"step {step}", no_wrap=True)]
        if self.steps:
            cells.append(ProgressBar(total=self.steps, completed=step, width=12))
        cells += [
            Text(f"loss {self._losses[-1]:.4f}", no_wrap=True),
            Text(sparkline(list(self._losses), self._characters()), style="cyan", no_wrap=True),
            Text(f"{self._rate:,.0f} tok/s", no_wrap=True),
        ]
        if self.steps:
            cells.append(Text(f"{self._left(step)} left", no_wrap=True))
        for _ in cells:
            row.add_column(no_wrap=True)
        row.add_row(*cells)
        row.width = min(80, self.console.width)
        return row

    def _left(self, step: int) -> str:
        left = timedelta(seconds=round(self._pace * max(0, self.steps - step)))
        return f"{left.days} d {left.seconds // 3600} h" if left.days else str(left)

    def _characters(self) -> str:
        try:
            BARS.encode(self.console.encoding)
        except (UnicodeEncodeError, LookupError):
            return PLAIN_BARS
        return BARS


def sparkline(values: list[float], characters: str = BARS) -> str:
    """A course of numbers as one character each, the lowest to the highest; `!` for what is not finite."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return "!" * len(values)
    low, span = min(finite), max(finite) - min(finite)
    top = len(characters) - 1

    def height(value: float) -> str:
        if not math.isfinite(value):
            return "!"
        return characters[round((value - low) / span * top) if span else 0]

    return "".join(height(value) for value in values)
