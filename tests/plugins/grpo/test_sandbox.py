"""What a model's program can do in the sandbox: fourteen probes and eight escapes. They need bubblewrap.

Where it is not installed they are skipped, with the reason, and in CI they fail; what happens there is a test of its
own, in `test_rewards.py`: code is not run at all.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from luthier_reward import sandbox
from luthier_reward.sandbox import Limits, run

pytestmark = pytest.mark.security

SECRET = "a-secret-of-this-process"


@pytest.fixture(autouse=True, scope="module")
def bubblewrap():
    if reason := sandbox.why_unavailable():
        pytest.skip(f"a sandbox needs bubblewrap and util-linux: {reason}")


def tried(program: str, **limits: float) -> str:
    """What a program printed last; empty where it failed or was killed."""
    found = run(program, limits=Limits(**limits))
    return found.output.strip().rpartition("\n")[2] if found.code == 0 else ""


# Fourteen probes


def test_a_program_runs_and_is_given_its_input():
    found = run("print(sum(map(int, input().split())))", text="1 2 3\n")
    assert (found.code, found.output) == (0, "6\n")


def test_files_of_the_machine_are_not_there(tmp_path):
    file = tmp_path / "mine"
    file.write_text("mine")
    file.chmod(0o644)
    program = "import os; print([os.path.exists(path) for path in ({!r}, '/etc/passwd', '/root', '/home', '/work')])"
    assert tried(program.format(str(file))) == str([False] * 5)


def test_the_environment_is_empty(monkeypatch):
    monkeypatch.setenv("LUTHIER_TEST_TOKEN", SECRET)
    found = run("import os; print('begun', dict(os.environ), open('/proc/self/environ').read())")
    assert (found.code, found.output[:5]) == (0, "begun")
    assert SECRET not in found.output


def test_there_is_no_network():
    program = "import socket\ntry: socket.create_connection(('127.0.0.1', {}), 1)\nexcept OSError: print('none')"
    with __import__("socket").create_server(("127.0.0.1", 0)) as server:
        assert tried(program.format(server.getsockname()[1])) == "none"


def test_no_name_is_looked_up():
    program = "import socket\ntry: socket.getaddrinfo('localhost.example', 80)\nexcept OSError: print('none')"
    assert tried(program) == "none"


def test_system_files_cannot_be_written():
    program = "try: open('/usr/bin/mine', 'w')\nexcept OSError: print('refused')"
    assert tried(program) == "refused"


def test_the_interpreter_cannot_be_written():
    program = "import os, sys\ntry: open(os.__file__, 'a')\nexcept OSError: print('refused')"
    assert tried(program) == "refused"


def test_memory_ends():
    assert run("x = bytearray(10**9)", limits=Limits(memory=256)).errors.strip().endswith("MemoryError")


def test_disk_ends():
    program = "try:\n with open('/tmp/x', 'wb') as f:\n  for _ in range(64): f.write(bytes(2**20)); f.flush()\n"
    assert tried(program + "except OSError: print('full')", disk=4) in ("full", "")


def test_processor_time_ends():
    began = time.monotonic()
    assert run("while True: pass", limits=Limits(seconds=1)).code is None
    assert time.monotonic() - began < 4


def test_sleeping_ends():
    began = time.monotonic()
    assert run("import time; time.sleep(60)", limits=Limits(seconds=1)).code is None
    assert time.monotonic() - began < 4


def test_a_fork_bomb_stays_small():
    program = (
        "import os, time\nmade = 0\ntry:\n while made < 150:\n"
        "  if os.fork() == 0: time.sleep(9); os._exit(0)\n  made += 1\nexcept OSError: pass\nprint(made)"
    )
    assert 0 < int(tried(program, seconds=3, processes=16)) < 16


def test_a_flood_of_output_is_cut_off_at_once():
    began = time.monotonic()
    found = run("while True: print('x' * 10000)", limits=Limits(seconds=20, output=64))
    assert found.code is None
    assert len(found.output) <= 64 * 1024
    assert time.monotonic() - began < 5


def test_no_other_process_can_be_seen_or_killed():
    program = "import os\nprint([p for p in os.listdir('/proc') if p.isdigit() and int(p) > 20])"
    assert tried(program) == "[]"
    program = f"import os\ntry: os.kill({os.getpid()}, 9); print('killed')\nexcept OSError: print('not there')"
    assert tried(program) == "not there"


# Eight escapes: what gets out of a guard that only takes names away from Python

OUTSIDE = Path("/tmp/luthier-sandbox-escape")
TOUCH = f"touch {OUTSIDE}"
ESCAPES = {
    "subprocess imported again": f"import sys; sys.modules.pop('subprocess', 0); import subprocess\n"
    f"subprocess.run({TOUCH!r}.split())",
    "posix": f"import posix; posix.system({TOUCH!r})",
    "os loaded again": f"import importlib, os; importlib.reload(os).system({TOUCH!r})",
    "reading": "print(open('/etc/shadow').read())",
    "writing": f"open({str(OUTSIDE)!r}, 'w').write('out')",
    "a socket": "import socket; socket.create_connection(('127.0.0.1', 22), 1); print('connected')",
    "a process left behind": "import os, time\nif os.fork() == 0:\n os.setsid(); time.sleep(1.5)\n"
    f" os.system({TOUCH!r})",
    "the environment": "import os; print(os.environ['LUTHIER_TEST_TOKEN'])",
}


@pytest.mark.parametrize("escape", ESCAPES)
def test_an_escape_leads_nowhere(escape, monkeypatch):
    monkeypatch.setenv("LUTHIER_TEST_TOKEN", SECRET)
    OUTSIDE.unlink(missing_ok=True)
    found = run("print('begun', flush=True)\n" + ESCAPES[escape], limits=Limits(seconds=2))
    assert found.output.startswith("begun")  # it was tried, and not kept from running at all
    if escape == "a process left behind":
        time.sleep(2)
    assert not OUTSIDE.exists()
    assert "root:" not in found.output
    assert "connected" not in found.output
    assert SECRET not in found.output


def test_without_walls_there_are_limits_still():
    assert sandbox.run_unprotected("print(6 * 7)").output == "42\n"
    assert sandbox.run_unprotected("while True: print('x' * 10000)").code is None
    assert sandbox.run_unprotected("import time; time.sleep(60)", limits=Limits(seconds=1)).code is None
