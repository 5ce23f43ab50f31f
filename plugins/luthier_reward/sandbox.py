"""Run a program that nobody trusts: bubblewrap shows it next to nothing and lets it out nowhere, limits end what grows.

No network, no environment, no files but the interpreter's (read only) and an empty /tmp in memory; limits on processor
time, memory, processes, open files, file size, real time and on what is read of its output.
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
_ROOM = "/tmp"  # noqa: S108 - inside, where it is empty and in memory


@dataclass(frozen=True, slots=True)
class Limits:
    """`seconds` of real time, as many of processor time; `memory` and `disk` in MiB; `output` in KiB."""

    seconds: float = 5.0
    memory: int = 512
    disk: int = 16
    processes: int = 16
    output: int = 64


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended: its exit code, negative for a signal, None where it was killed for time or output."""

    code: int | None
    output: str
    errors: str


def missing() -> str:
    """Why there can be no sandbox here, in words; empty where there can."""
    if not sys.platform.startswith("linux"):
        return f"bubblewrap needs Linux, and this is {sys.platform}"
    lacking = [name for name in _TOOLS if shutil.which(name) is None]
    if lacking:
        return f"there is no {' and no '.join(lacking)}"
    try:
        _way()
    except ResourceError as error:
        return error.message
    return ""


def run(program: str, *, text: str = "", limits: Limits | None = None) -> Outcome:
    """Run Python source in the sandbox, `text` being its standard input; ResourceError where there is no sandbox."""
    if reason := missing():
        raise ResourceError(
            f"Code of a model cannot be run in a sandbox: {reason}.",
            hint="Install bubblewrap and util-linux, or choose another reward.",
        )
    limits = limits or Limits()
    return _watched(_WAYS[_way()](limits), program, text, limits)


def run_unprotected(program: str, *, text: str = "", limits: Limits | None = None) -> Outcome:
    """The same without walls, only with limits: for machines that are thrown away afterwards."""
    limits = limits or Limits()
    return _watched([*_limited(limits), str(_interpreter())], program, text, limits)


def _as_user(limits: Limits) -> list[str]:
    """In a user namespace, from any account."""
    walls = ["bwrap", "--unshare-all", "--cap-drop", "ALL", *_walls(limits)]
    return [*_limited(limits), *walls, *_few_processes(limits), _INSIDE]


def _as_nobody(limits: Limits) -> list[str]:
    """For root, on whom a limit on the number of processes is not binding: as nobody from the beginning."""
    return [*_NOBODY, *_as_user(limits)]


def _becoming_nobody(limits: Limits) -> list[str]:
    """For root whose interpreter nobody else may read: as nobody from inside."""
    apart = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    kept = ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    walls = ["bwrap", *apart, *kept, *_walls(limits)]
    return [*_limited(limits), *walls, *_NOBODY, *_few_processes(limits), _INSIDE]


_INSIDE = "/interpreter/bin/python3"
_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", "--inh-caps=-all"]
_WAYS = {way.__name__: way for way in (_as_user, _as_nobody, _becoming_nobody)}


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


def _few_processes(limits: Limits) -> list[str]:
    """Inside, where the processes outside are not counted."""
    return ["prlimit", f"--nproc={limits.processes}"]


def _walls(limits: Limits) -> list[str]:
    """What is seen of the disk: system libraries and the interpreter, read only, and an empty /tmp in memory."""
    shown = ["--ro-bind", "/usr", "/usr", "--ro-bind", str(_interpreter().resolve().parent.parent), "/interpreter"]
    for folder in (Path("/bin"), Path("/lib"), Path("/lib64")):
        if folder.is_symlink():
            shown += ["--symlink", os.readlink(folder), str(folder)]
        elif folder.is_dir():
            shown += ["--ro-bind", str(folder), str(folder)]
    return [
        "--clearenv", "--setenv", "PATH", "/usr/bin", "--setenv", "LD_LIBRARY_PATH", "/interpreter/lib",
        "--new-session", "--die-with-parent", *shown, "--proc", "/proc", "--dev", "/dev",
        "--size", str(limits.disk * 1024 * 1024), "--tmpfs", _ROOM, "--chdir", _ROOM, "--",
    ]  # fmt: skip


def _interpreter() -> Path:
    """The interpreter behind a virtual environment, without the environment's packages."""
    return Path(getattr(sys, "_base_executable", sys.executable))


def _watched(command: Sequence[str], program: str, text: str, limits: Limits) -> Outcome:
    """Run it, read no more of its output than is allowed, and kill it when its time is over."""
    arguments = ["-I", "-S", "-c", _BEGIN, str(len(program.encode()))]
    process = subprocess.Popen(  # noqa: S603 - running what nobody trusts is what this file is for
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
        Thread(target=_give, args=(process, program + text), daemon=True).start()
        killed = False
        while selector.get_map() and not killed:
            left = deadline - time.monotonic()
            for key, _ in selector.select(max(left, 0)):
                part = os.read(key.fd, 65536)
                read[key.data] += part
                if not part:
                    selector.unregister(key.fileobj)
            killed = left <= 0 or any(len(each) > most for each in read.values())
    if not killed:
        killed = not _ends(process, deadline)
    if killed:
        os.killpg(process.pid, SIGKILL)
    process.wait()
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()
    said = {name: bytes(each[:most]).decode("utf-8", "replace") for name, each in read.items()}
    return Outcome(None if killed else process.returncode, said["output"], said["errors"])


_BEGIN = (  # the program comes over standard input, which then goes on with the text that the program is given
    "import sys; size = int(sys.argv.pop()); source = sys.stdin.buffer.read(size).decode(); sys.argv = ['program']; "
    "exec(compile(source, 'program', 'exec'), {'__name__': '__main__'})"
)


def _give(process: subprocess.Popen[bytes], text: str) -> None:
    """Hand over what the program reads, unless it ends without reading."""
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as stream:
        stream.write(text.encode())


def _ends(process: subprocess.Popen[bytes], deadline: float) -> bool:
    try:
        process.wait(max(deadline - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        return False
    return True


_TOOLS = ("bwrap", "prlimit", "setpriv")


@cache
def _way() -> str:
    """The first way that works here: some containers and kernels forbid one or all. ResourceError if none does."""
    ways = (_as_nobody, _becoming_nobody) if os.geteuid() == 0 else (_as_user,)
    said = ""
    for way in ways:
        found = _watched(way(Limits()), "print('ready')", "", Limits(seconds=20))
        if found.output == "ready\n":
            return way.__name__
        said = found.errors.strip()[-200:]
    raise ResourceError(f"bubblewrap cannot begin here ({said})")
