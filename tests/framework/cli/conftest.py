"""The command line in this process: as fast as a call, with its exit code and what it said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.process_state import ProcessState
from tests.session_cache import session_cache  # noqa: F401 - a fixture


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> dict:
        """The error as scripts read it: the last line of stderr."""
        return json.loads(self.err.strip().splitlines()[-1])

    @property
    def record(self):
        return json.loads(self.out)


@pytest.fixture
def here(tmp_path, monkeypatch, session_cache) -> Path:  # noqa: F811
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LUTHIER_PLUGINS", raising=False)
    monkeypatch.setenv("LUTHIER_CACHE", str(session_cache))
    return tmp_path


@pytest.fixture(scope="session")
def run(tmp_path_factory, session_cache) -> Path:  # noqa: F811
    """The folder of a finished run of the demo's tiny twin."""
    from tests.command import luthier as command

    folder = tmp_path_factory.mktemp("finished")
    done = command("recipe=demo", "debug=tiny", "name=tiny", cwd=folder, LUTHIER_CACHE=str(session_cache))
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "tiny"


@pytest.fixture
def luthier(here, capsys) -> Callable[..., Ended]:
    """`luthier("plan", "recipe=demo")` in the empty working folder."""

    def call(*argv: str) -> Ended:
        from luthier.cli.main import main

        capsys.readouterr()
        state = ProcessState.now()
        try:
            with pytest.raises(SystemExit) as end:
                main(list(argv))
        finally:
            state.restore()  # a test may call it more than once, and Hydra sets up logging for a process that ends
        said = capsys.readouterr()
        return Ended(int(end.value.code or 0), said.out, said.err)

    return call


@pytest.fixture
def write(here) -> Callable[[str, str], Path]:
    """Put a file into the working folder."""

    def put(name: str, text: str) -> Path:
        file = here / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    return put
