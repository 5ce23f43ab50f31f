"""Tab: verbs, flags, questions, answers, settings, values, runs and files; in real shells."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPTS = Path(sys.executable).parent


@pytest.fixture
def complete(luthier, monkeypatch):
    """What the command line offers for a line that was typed so far."""

    def ask(line: str, *, point: int | None = None) -> list[str]:
        monkeypatch.setenv("COMP_LINE", line)
        monkeypatch.setenv("COMP_POINT", str(len(line) if point is None else point))
        end = luthier("-sc", "query=bash")
        assert end.code == 0, end.err
        return end.out.split("\n")[:-1]

    return ask


OFFERS = {
    "luthier exp": ["explain", "export"],
    "luthier rec": ["recipe=", "recipes"],
    "luthier recipe=qu": ["recipe=quickstart"],
    "luthier model=ti": ["model=tiny", "model=tiny_encoder"],
    "luthier +model=ti": ["+model=tiny", "+model=tiny_encoder"],
    "luthier optimizer/sch": ["optimizer/schedule="],
    "luthier optimizer/schedule=co": ["optimizer/schedule=constant", "optimizer/schedule=cosine"],
    "luthier evaluation/": ["evaluation/metric=", "evaluation/task="],
    "luthier trainer.pre": ["trainer.precision="],
    "luthier trainer.precision=": ["trainer.precision=auto", "trainer.precision=bf16", "trainer.precision=fp32"],
    "luthier batch.packing=t": ["batch.packing=true"],
    "luthier adaptation=lora adaptation.ra": ["adaptation.rank="],
    "luthier optimizer.schedule.wa": ["optimizer.schedule.warmup="],
    "luthier recipe=demo --j": ["--json"],
    "luthier --cfg j": ["job"],
    "luthier -p no:s": ["no:sft"],
    "luthier plan recipe=qu": ["recipe=quickstart"],
    "luthier plan trainer.precision=b": ["trainer.precision=bf16"],
    "luthier plan --a": ["--all"],
    "luthier preview --split t": ["test", "train"],
    "luthier recipes opt": ["optimizer", "optimizer/schedule"],
    "luthier explain adaptation=lora_": ["adaptation=lora_plus"],
    "luthier explain exit": ["exit-codes"],
    "luthier completion z": ["zsh"],
}


@pytest.mark.parametrize("line", OFFERS)
def test_what_comes_next_is_offered(line, complete):
    assert complete(line) == OFFERS[line]


def test_everything_is_offered_at_the_start(complete):
    offered = complete("luthier ")
    assert {"plan", "chat", "recipe=", "model=", "evaluation/", "trainer."} <= set(offered)
    assert not [one for one in offered if one.startswith("hydra")]


def test_targets_are_never_offered(complete):
    assert complete("luthier model._t") == []


def test_only_the_line_up_to_the_cursor_counts(complete):
    assert complete("luthier recipe=qu --cfg job", point=len("luthier recipe=qu")) == ["recipe=quickstart"]


def test_runs_are_offered_to_chat_with(complete, here):
    (here / "runs" / "mine-1").mkdir(parents=True)
    assert "runs/mine-1" in complete("luthier chat ru")


def test_files_are_offered_to_begin_with(complete, write):
    write("mine.jsonl", "")
    write("more/other.jsonl", "")
    assert complete("luthier init m") == ["mine.jsonl", "more/"]
    assert complete("luthier init more/") == ["more/other.jsonl"]


def test_recipes_of_the_working_folder_are_offered(complete, write):
    write("recipes/recipe/house_tone.yaml", "# @package _global_\n# Mine.\nseed: 1\n")
    assert complete("luthier recipe=ho") == ["recipe=house_tone"]


def test_a_line_that_is_wrong_offers_nothing_and_says_nothing(luthier, monkeypatch):
    monkeypatch.setenv("COMP_LINE", "luthier model=nosuch trainer.clip.x.")
    monkeypatch.delenv("COMP_POINT", raising=False)
    end = luthier("-sc", "query=bash")
    assert (end.code, end.out, end.err) == (0, "", "")


def test_hydras_own_installation_leads_to_ours(luthier):
    end = luthier("-sc", "install=bash", "--json")
    assert end.code == 2
    assert "luthier completion bash" in end.error["hint"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_installed_where_the_shell_looks(shell, luthier, here, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(here / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(here / "config"))
    end = luthier("completion", shell, "--install", "--json")
    assert Path(end.record["file"]).read_text() == luthier("completion", shell).out


def test_bash_completes_with_the_script(luthier, write):
    script = write("luthier.bash", luthier("completion", "bash").out)
    program = f"""
        source {script}
        for COMP_LINE in 'luthier recipe=qu' 'luthier model=' 'luthier trainer.precision=b' 'luthier expl'; do
            COMP_POINT=${{#COMP_LINE}} COMP_WORDS=(luthier) COMP_CWORD=1
            _luthier; printf '[%s]' "${{COMPREPLY[@]}}"; echo
        done
        COMP_WORDBREAKS=${{COMP_WORDBREAKS//=}} COMP_LINE='luthier recipe=qu' COMP_POINT=17
        _luthier; printf '[%s]' "${{COMPREPLY[@]}}"; echo; complete -p luthier
    """
    ended = subprocess.run(
        ["bash", "--norc", "-c", program], capture_output=True, text=True, env=_environ(), timeout=120
    )
    lines = ended.stdout.splitlines()
    assert lines[0] == "[quickstart ]", (
        ended.stderr
    )  # bash takes words apart at `=`, and a whole word is followed by a space
    assert "[tiny]" in lines[1]
    assert lines[2:5] == ["[bf16 ]", "[explain ]", "[recipe=quickstart ]"]
    assert "_luthier" in lines[5]


def installed(shell: str):
    """A shell to test with; where it is not installed, the test is skipped and says so."""
    absent = shutil.which(shell) is None
    return pytest.param(shell, marks=pytest.mark.skipif(absent, reason=f"{shell} is not installed"))


@pytest.mark.parametrize("shell", [installed("bash"), installed("zsh")])
def test_a_person_who_presses_tab_gets_the_word(shell, luthier, write):
    """In a terminal, as a person would: the script is loaded, a line is begun, Tab is pressed, the line is run."""
    script = write(f"luthier.{shell}", luthier("completion", shell).out)
    begin = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}[shell]
    load = {"bash": f"source {script}\n", "zsh": f"autoload -U compinit; compinit -u -D; source {script}\n"}[shell]
    with _Terminal(begin) as terminal:
        terminal.send("PS1='ready> '\n")
        terminal.send(load + "echo lo''aded\n", until="loaded")
        terminal.send("luthier explain adaptation=lora_\t", until="adaptation=lora_plus")
        terminal.send(" > said; echo fin''ished\n", until="finished")
    assert "adaptation.rank" in Path("said").read_text()


@pytest.mark.parametrize("shell", [installed("fish")])
def test_fish_completes_with_the_script(shell, luthier, write):
    script = write("luthier.fish", luthier("completion", shell).out)
    program = (
        f"source {script}; complete --do-complete 'luthier recipe=qu'; complete --do-complete 'luthier trainer.pre'"
    )
    ended = subprocess.run(
        [shell, "--no-config", "-c", program], capture_output=True, text=True, env=_environ(), timeout=120
    )
    assert ended.stdout.split() == ["recipe=quickstart", "trainer.precision="], ended.stderr


def _environ() -> dict[str, str]:
    return {**os.environ, "PATH": f"{SCRIPTS}:{os.environ['PATH']}", "TERM": "dumb", "HISTFILE": ""}


class _Terminal:
    """A shell in a terminal of its own."""

    def __init__(self, argv: list[str]) -> None:
        self.argv, self.seen = argv, ""

    def __enter__(self) -> _Terminal:
        pid, self.handle = pty.fork()
        if pid == 0:
            os.execvpe(self.argv[0], self.argv, _environ())
        self.pid = pid
        return self

    def send(self, text: str, until: str = "ready> ") -> None:
        os.write(self.handle, text.encode())
        seen, deadline = "", time.monotonic() + 60
        while until not in seen:
            assert time.monotonic() < deadline, f"{until!r} did not come: {seen!r}"
            if select.select([self.handle], [], [], 1)[0]:
                seen += os.read(self.handle, 4096).decode(errors="replace")

    def __exit__(self, *error: object) -> None:
        os.write(self.handle, b"\nexit\n")
        time.sleep(0.1)
        os.close(self.handle)
        os.waitpid(self.pid, 0)
