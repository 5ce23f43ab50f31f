"""The console: data on stdout, messages on stderr, JSON for scripts, colour only on a terminal."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from luthier.disk.redaction import redact, redact_text
from luthier.errors import LuthierError

if TYPE_CHECKING:
    from luthier.errors.interrupted import Interrupted

NARROWEST = 80
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_COMMANDS = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-ln-~]"  # control sequences other than colours
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles and links
    r"|\x1b(?!\[[0-9;]*m)"
    r"|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]"
)


@dataclass(slots=True)
class Console:
    """What a command says and how: `as_json` for scripts, `debug` for tracebacks.

    With `--json`, stdout holds one JSON value, and the last line of stderr is the error, where there is one.
    """

    as_json: bool = False
    debug: bool = False

    def data(self, text: str, record: Any = None) -> None:
        """The answer of a command, on stdout: `record` as JSON where scripts asked for it, else `text`."""
        if self.as_json and record is not None:
            print(json.dumps(redact(record), indent=2, default=str))
        else:
            print(harmless(text, sys.stdout))

    def say(self, text: str) -> None:
        """Prose for a person, on stderr."""
        print(harmless(text, sys.stderr), file=sys.stderr, flush=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
        """Rows under their columns, as wide as the terminal (80 columns off one); the last takes what is left."""
        from rich.console import Console as Rich
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, show_header=any(columns), header_style="bold")
        for column in columns[:-1]:
            table.add_column(Text(column), no_wrap=True)
        table.add_column(Text(columns[-1]), overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        rich = Rich(
            width=width(), force_terminal=coloured(sys.stdout), no_color=not coloured(sys.stdout), highlight=False
        )
        with rich.capture() as captured:
            rich.print(table)
        return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").splitlines())

    def error(self, error: LuthierError | Interrupted) -> int:
        """Say what went wrong and give the exit code."""
        if self.debug:
            self.say("".join(traceback.format_exception(error)).rstrip("\n"))
        if self.as_json:
            self.say(json.dumps(redact(error.as_json())))
        else:
            lines = str(error).splitlines() or [type(error).__name__]
            self.say("\n".join(f"{self.red('error:')} {line}" for line in lines))
        return error.code

    def red(self, text: str) -> str:
        return f"\033[31m{text}\033[0m" if coloured(sys.stderr) else text


def coloured(stream: TextIO) -> bool:
    """Whether ANSI colour may be written: a terminal, and NO_COLOR not set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width() -> int:
    return shutil.get_terminal_size((NARROWEST, 24)).columns if sys.stdout.isatty() else NARROWEST


def harmless(text: str, stream: TextIO) -> str:
    """The text without secrets, without what would command a terminal, without colour where there may be none."""
    text = _COMMANDS.sub("", redact_text(text))
    text = text if coloured(stream) else _COLOURS.sub("", text)
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
