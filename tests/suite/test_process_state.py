"""A test leaves its process as it found it, whatever it called."""

from __future__ import annotations

import io
import logging
import os
import sys

from tests.process_state import ProcessState


def test_what_a_command_line_changes_is_put_back(tmp_path):
    root, here, path = logging.getLogger(), os.getcwd(), sys.path[:]
    handlers, level = root.handlers[:], root.level
    state = ProcessState.now()
    os.environ["LUTHIER_LEFT_BEHIND"] = "1"
    sys.path.insert(0, str(tmp_path))
    os.chdir(tmp_path)
    logging.basicConfig(filename=tmp_path / "run.log", level=logging.DEBUG, force=True)
    (written,) = root.handlers
    logging.disable(logging.CRITICAL)
    sys.excepthook, hook = print, sys.excepthook
    state.restore()
    assert written.stream is None  # closed
    assert (root.manager.disable, sys.excepthook) == (state.disabled, hook)
    assert "LUTHIER_LEFT_BEHIND" not in os.environ
    assert (sys.path, os.getcwd(), root.handlers, root.level) == (path, here, handlers, level)


def test_a_handler_of_a_library_writes_to_no_stream_that_is_closed(capsys):
    """As of transformers, datasets and dspy: their handler keeps the stderr of the test that imported them first."""
    logger, stream = logging.getLogger("a library imported during a test"), io.StringIO()
    logger.propagate = False
    logger.addHandler(logging.StreamHandler(stream))
    stream.close()
    ProcessState.now().restore()
    logger.warning("said later")
    said = capsys.readouterr().err
    assert said == "said later\n"
    logger.handlers.clear()


def test_a_handler_that_no_logger_has_yet_does_not_close_the_stream_of_the_tests():
    """As of absl, whose handler closes the stream that it began with when logging is set up anew."""

    class Closing(logging.StreamHandler):
        def close(self) -> None:
            self.stream.close()
            super().close()

    stream = io.StringIO()
    aside = Closing(stream)
    ProcessState.now().restore()
    aside.close()
    assert not stream.closed
