"""How luthier speaks: data on stdout, prose on stderr, JSON for scripts, colour only on a terminal."""

from __future__ import annotations

import json
import os
import sys
import traceback
from dataclasses import dataclass
from typing import Any, TextIO

from luthier.errors import LuthierError


@dataclass(slots=True)
class Console:
    """What a command says and how: `as_json` for scripts, `debug` for tracebacks."""

    as_json: bool = False
    debug: bool = False

    def data(self, text: str, record: Any = None) -> None:
        """The answer of a command, on stdout: `record` as JSON where scripts asked for it, else `text`."""
        print(json.dumps(record, indent=2, default=str) if self.as_json and record is not None else text)

    def say(self, text: str) -> None:
        """Prose for a person, on stderr."""
        print(text, file=sys.stderr, flush=True)

    def error(self, error: LuthierError) -> int:
        """Say what went wrong and give the exit code."""
        if self.debug:
            traceback.print_exception(error)
        if self.as_json:
            print(json.dumps(error.as_json()), file=sys.stderr)
        else:
            lines = str(error).splitlines() or [type(error).__name__]
            self.say("\n".join(f"{self.red('error:')} {line}" for line in lines))
        return error.code

    def red(self, text: str) -> str:
        return f"\033[31m{text}\033[0m" if coloured(sys.stderr) else text


def coloured(stream: TextIO) -> bool:
    """Whether ANSI colour may be written: a terminal, and NO_COLOR not set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
