"""Runs what a page says, in a folder of its own: what only looks in this process, anything else in one of its own."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from luthier.cli import main, session
from luthier.cli.verbs import BUILT_IN, Verb, built_in
from luthier.config import command_line
from luthier.reporting.console import Console
from luthier.workflows.pipelines import addressing
from tests.command import luthier
from tests.docs.doc_pages import ROOT, Command, Fence
from tests.sources import forget_sources

SHELL = set("|&;<>*$`")
LOOKS = {"advise", "recipes", "plugins", "explain", "init", "schema", "--help", "--version", "--cfg", "--info"}
ELSEWHERE = {
    "apt",
    "pip",
    "python",
    "pytest",
    "git",
    "cd",
    "make",
    "wandb",
    "tensorboard",
    "srun",
    "torchrun",
    "vllm",
    "kill",
    "export",
    "source",
}


@dataclass
class Session:
    """A working folder in which the fences of a page are carried out one after another.

    Those in `composed` (page, line of the fence, text) are only composed.
    """

    folder: Path
    composed: frozenset[tuple[Path, int, str]] = frozenset()
    names: dict[str, object] = field(default_factory=dict)

    def carry_out(self, fence: Fence) -> None:
        """AssertionError where a command does not end as the page says, or says something else than it shows."""
        if fence.title:
            place = self.folder / fence.title
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(fence.text, encoding="utf-8")
        elif fence.language == "python" and not fence.why_not_run:
            with self._here():
                exec(compile(fence.text, str(fence), "exec"), self.names)
        for command in fence.commands():
            only_composed = fence.why_not_run or (fence.page, fence.line, command.text) in self.composed
            if only_composed or fence.shortened:
                self.check(command)
            if only_composed:
                continue
            code, output = self.run(" ".join([command.text, *fence.shortened]))
            assert code == fence.exit_code, f"{fence}: {command.text} ended with {code}\n{output}"
            missing = command.missing_from(output)
            assert not missing, f"{fence}: {command.text} does not say {missing}, but\n{output}"

    def run(self, text: str) -> tuple[int, str]:
        """The exit code and all that was said, stdout first."""
        words = shlex.split(text)
        if words[0] == "luthier" and not SHELL & set(text.replace("${", "").replace("'*'", "")):
            return self._in_process(words[1:]) if LOOKS & set(words) else _said(luthier(*words[1:], cwd=self.folder))
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        return _said(subprocess.run(
            ["bash", "-c", text], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=280
        ))  # fmt: skip

    def check(self, command: Command) -> None:
        """That a command which is not run here could be: a recipe composes, a verb takes the arguments."""
        words = shlex.split(re.split(r"[|>;]", command.text)[0].rstrip("& "))
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        if words[0] != "luthier":
            assert words[0].rpartition("/")[2] in ELSEWHERE, f"what is {words[0]}?"
            if words[0] == "make":
                makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
                assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), f"make knows no {words[1]}"
            return
        flags = session.Flags.parse(words[1:])
        with self._here():
            verb = _verb(flags)
            if verb is not None:
                parser = argparse.ArgumentParser(exit_on_error=False)
                verb.declare(parser)
                parser.parse_args(flags.rest[1:])
            else:
                composer = session.composer(flags, Console())
                said = [word for word in flags.rest if not word.startswith("-")]
                if addressing.names_pipeline(said):
                    addressing.pipeline_of(said, composer.catalog)
                    return
                for job in command_line.first_jobs(command_line.read(said)):
                    composer.compose(job, complete=False)

    def _in_process(self, arguments: Sequence[str]) -> tuple[int, str]:
        out, err = io.StringIO(), io.StringIO()
        with self._here(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main.main(list(arguments))
            except SystemExit as end:
                code = int(end.code or 0)
        return code, out.getvalue() + err.getvalue()

    @contextlib.contextmanager
    def _here(self) -> Iterator[None]:
        """In the folder; what is imported from it is forgotten, as it would be by the next process."""
        before, path = os.getcwd(), list(sys.path)
        os.chdir(self.folder)
        importlib.invalidate_caches()
        try:
            yield
        finally:
            os.chdir(before)
            sys.path[:] = path
            forget_sources()
            for name, module in list(sys.modules.items()):
                if (getattr(module, "__file__", None) or "").startswith(str(self.folder)):
                    del sys.modules[name]


def _verb(flags: session.Flags) -> Verb | None:
    """The verb of a command, luthier's own or a plugin's; None for a recipe."""
    first = flags.rest[0] if flags.rest else ""
    if first in BUILT_IN:
        return built_in(first)
    plugins = session.load_plugins(flags, Console())
    return next((verb for _, verbs in plugins.ask("luthier_verbs") for verb in verbs if verb.name == first), None)


def _said(done: subprocess.CompletedProcess[str]) -> tuple[int, str]:
    return done.returncode, done.stdout + done.stderr
