"""Run untrusted Python programs in a bubblewrap sandbox with resource limits.

A program has no network, no environment variables, and no files but the system's libraries, the interpreter (both
read-only) and an empty /tmp in memory. Processor time, memory, processes, open files, file size, real time and the
output that is read are limited.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from signal import SIGKILL
from threading import Thread
from typing import Any

from luthier.api import ResourceError

NOBODY = 65534
"""The id of the unprivileged user and group."""
_TMP = "/tmp"  # noqa: S108 - inside the sandbox, where it is empty and in memory


@dataclass(frozen=True, slots=True)
class Limits:
    """The resource limits of one program.

    `seconds` of real time and of processor time each; `memory` and `disk` (files in /tmp) in MiB; concurrent
    `processes`; `output` in KiB, for standard output and standard error each.
    """

    seconds: float = 5.0
    memory: int = 512
    disk: int = 16
    processes: int = 16
    output: int = 64


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended: its exit code, negative for a signal, None where it exceeded `seconds` or `output`."""

    code: int | None
    output: str
    errors: str


def why_unavailable() -> str:
    """The reason why there can be no sandbox on this machine; empty where there can."""
    if not sys.platform.startswith("linux"):
        return f"bubblewrap needs Linux, and this is {sys.platform}"
    lacking = [name for name in _TOOLS if shutil.which(name) is None]
    if lacking:
        return f"there is no {' and no '.join(lacking)}"
    try:
        _launcher_name()
    except ResourceError as error:
        return error.message
    return ""


def run(program: str, *, text: str = "", limits: Limits | None = None) -> Outcome:
    """Run Python source in the sandbox with `text` as standard input; ResourceError where there is no sandbox."""
    if reason := why_unavailable():
        raise ResourceError(
            f"Code of a model cannot be run in a sandbox: {reason}.",
            hint="Install bubblewrap and util-linux, or choose another reward.",
        )
    limits = limits or Limits()
    return _supervised(_LAUNCHERS[_launcher_name()](limits), program, text, limits)


def run_unprotected(program: str, *, text: str = "", limits: Limits | None = None) -> Outcome:
    """Run it with limits and without a sandbox: for disposable machines only."""
    limits = limits or Limits()
    return _supervised([*_limited(limits), str(_interpreter())], program, text, limits)


def _as_user(limits: Limits) -> list[str]:
    """The command for an unprivileged account: a user namespace."""
    sandbox = ["bwrap", "--unshare-all", "--cap-drop", "ALL", *_mounts(limits)]
    return [*_limited(limits), *sandbox, *_process_limit(limits), _INTERPRETER]


def _as_nobody(limits: Limits) -> list[str]:
    """The command for root, whom no limit on processes binds: bubblewrap itself runs as an unprivileged user."""
    return [*_SETPRIV, *_as_user(limits)]


def _becoming_nobody(limits: Limits) -> list[str]:
    """The command for root where other users cannot read the interpreter: privileges are dropped inside."""
    namespaces = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    capabilities = ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    sandbox = ["bwrap", *namespaces, *capabilities, *_mounts(limits)]
    return [*_limited(limits), *sandbox, *_SETPRIV, *_process_limit(limits), _INTERPRETER]


_INTERPRETER = "/interpreter/bin/python3"
_SETPRIV = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", "--inh-caps=-all"]
_LAUNCHERS = {launcher.__name__: launcher for launcher in (_as_user, _as_nobody, _becoming_nobody)}


def _limited(limits: Limits) -> list[str]:
    mebibyte = 1024 * 1024
    return [
        "prlimit",
        f"--cpu={int(limits.seconds) + 1}",
        f"--as={limits.memory * mebibyte}",
        f"--fsize={limits.disk * mebibyte}",
        "--nofile=64",
        "--core=0",
    ]


def _process_limit(limits: Limits) -> list[str]:
    """Set inside the sandbox, where processes outside are not counted."""
    return ["prlimit", f"--nproc={limits.processes}"]


def _mounts(limits: Limits) -> list[str]:
    """The visible files: system libraries and the interpreter, read-only, and an empty /tmp in memory."""
    mounted = ["--ro-bind", "/usr", "/usr", "--ro-bind", str(_interpreter().resolve().parent.parent), "/interpreter"]
    for folder in (Path("/bin"), Path("/lib"), Path("/lib64")):
        if folder.is_symlink():
            mounted += ["--symlink", os.readlink(folder), str(folder)]
        elif folder.is_dir():
            mounted += ["--ro-bind", str(folder), str(folder)]
    return [
        "--clearenv", "--setenv", "PATH", "/usr/bin", "--setenv", "LD_LIBRARY_PATH", "/interpreter/lib",
        "--new-session", "--die-with-parent", *mounted, "--proc", "/proc", "--dev", "/dev",
        "--size", str(limits.disk * 1024 * 1024), "--tmpfs", _TMP, "--chdir", _TMP, "--",
    ]  # fmt: skip


def _interpreter() -> Path:
    """The interpreter behind a virtual environment, without the environment's packages."""
    return Path(getattr(sys, "_base_executable", sys.executable))


def _supervised(command: Sequence[str], program: str, text: str, limits: Limits) -> Outcome:
    """Run it, and kill it when it exceeds its time or output limit."""
    arguments = ["-I", "-S", "-c", _BOOTSTRAP, str(len(program.encode()))]
    process = subprocess.Popen(  # noqa: S603 - running untrusted programs is the purpose of this file
        [*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", os.defpath)}, cwd="/", start_new_session=True,
    )  # fmt: skip
    read: dict[str, bytearray] = {"output": bytearray(), "errors": bytearray()}
    deadline = time.monotonic() + limits.seconds
    most = limits.output * 1024
    with DefaultSelector() as selector:
        streams: dict[str, Any] = {"output": process.stdout, "errors": process.stderr}
        for name, stream in streams.items():
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, EVENT_READ, name)
        Thread(target=_write_input, args=(process, program + text), daemon=True).start()
        killed = False
        while selector.get_map() and not killed:
            left = deadline - time.monotonic()
            for key, _ in selector.select(max(left, 0)):
                part = os.read(key.fd, 65536)
                read[key.data] += part
                if not part:
                    selector.unregister(key.fileobj)
            killed = left <= 0 or any(len(stream) > most for stream in read.values())
    if not killed:
        killed = not _ended(process, deadline)
    if killed:
        os.killpg(process.pid, SIGKILL)
    process.wait()
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()
    texts = {name: bytes(stream[:most]).decode("utf-8", "replace") for name, stream in read.items()}
    return Outcome(None if killed else process.returncode, texts["output"], texts["errors"])


_BOOTSTRAP = (  # standard input holds the program, and then the input of the program
    "import sys; size = int(sys.argv.pop()); source = sys.stdin.buffer.read(size).decode(); sys.argv = ['program']; "
    "exec(compile(source, 'program', 'exec'), {'__name__': '__main__'})"
)


def _write_input(process: subprocess.Popen[bytes], text: str) -> None:
    """Write the standard input, unless the program ends without reading it."""
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as stream:
        stream.write(text.encode())


def _ended(process: subprocess.Popen[bytes], deadline: float) -> bool:
    try:
        process.wait(max(deadline - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        return False
    return True


_TOOLS = ("bwrap", "prlimit", "setpriv")


@cache
def _launcher_name() -> str:
    """The first launcher that works here, as containers and kernels may forbid some; ResourceError if none does."""
    launchers = (_as_nobody, _becoming_nobody) if os.geteuid() == 0 else (_as_user,)
    errors = ""
    for launcher in launchers:
        outcome = _supervised(launcher(Limits()), "print('ready')", "", Limits(seconds=20))
        if outcome.output == "ready\n":
            return launcher.__name__
        errors = outcome.errors.strip()[-200:]
    raise ResourceError(f"bubblewrap cannot start here ({errors})")
