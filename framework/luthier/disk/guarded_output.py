"""What a command says, without secrets: everything that Python writes to stdout and stderr, and every line of a log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from luthier.disk.redaction import redact_text


class GuardedStream:
    """A stream of text that takes secrets out of each piece that is written; all else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(redact_text(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stream)

    def __enter__(self) -> GuardedStream:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.flush()


@contextmanager
def guarded_output() -> Iterator[None]:
    """Guard stdout, stderr and all logs of this process meanwhile, whoever writes: plugins, libraries, warnings."""
    streams, make = (sys.stdout, sys.stderr), logging.getLogRecordFactory()

    def redacted(*arguments: Any, **named: Any) -> logging.LogRecord:
        return _without_secrets(make(*arguments, **named))

    logging.setLogRecordFactory(redacted)
    sys.stdout, sys.stderr = map(GuardedStream, streams)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
        logging.setLogRecordFactory(make)


def _without_secrets(record: logging.LogRecord) -> logging.LogRecord:
    try:
        said = record.getMessage()
    except (TypeError, ValueError):  # a mistake in the format, which logging reports by itself
        return record
    if (redacted := redact_text(said)) != said:
        record.msg, record.args = redacted, None
    if record.exc_info and record.exc_info[0] is not None:
        record.exc_text = redact_text(logging.Formatter().formatException(record.exc_info))
    return record
