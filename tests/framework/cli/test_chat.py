"""`luthier chat RUN`: one thing said, or a conversation; answers come while they are written."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import subprocess
import sys
import time

import pytest

from luthier.cli.chat_session import Chat, _StreamDecoder
from luthier.contracts.sampling import Answer, Sampling


@pytest.fixture
def typed(monkeypatch):
    """Lines that come through a pipe."""

    def put(*lines: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))

    return put


@pytest.fixture
def chat(run):
    from luthier import load

    return Chat(load(run), Sampling(max_new_tokens=8))


def test_one_thing_is_said_and_answered(luthier, run):
    end = luthier("chat", str(run), "--message", "Is it well made?", "--max-new-tokens", "8")
    assert end.code == 0, end.err
    assert end.out.endswith("\n")
    record = luthier("chat", str(run), "--message", "Is it well made?", "--max-new-tokens", "8", "--json").record
    assert record["answer"].strip() == end.out.strip()
    assert 0 < record["tokens"] <= 8
    assert record["finish"] in {"stop", "length"}


def test_the_lines_of_a_pipe_are_a_conversation(luthier, run, typed):
    typed("One.", "", "Two.", "/reset", "Three.", "/quit", "Never.")
    end = luthier("chat", str(run), "--max-new-tokens", "4", "--json")
    assert end.code == 0, end.err
    assert [json.loads(line)["message"] for line in end.out.splitlines()] == ["One.", "Two.", "Three."]


def test_a_command_that_there_is_not_is_named(luthier, run, typed):
    typed("/rset")
    end = luthier("chat", str(run))
    assert end.code == 0
    assert "/reset" in end.err


def test_a_run_that_there_is_not_is_named(luthier):
    end = luthier("chat", "runs/nowhere", "--message", "Hello.", "--json")
    assert end.code == 2
    assert "runs/nowhere" in end.error["message"]


@pytest.mark.parametrize("argv", [["--temperature", "-1"], ["--top-p", "2"], ["--max-new-tokens", "0"]])
def test_settings_that_make_no_sense_are_refused_before_anything_loads(argv, luthier):
    assert (
        luthier("chat", "runs/nowhere", "--message", "Hello.", *argv, "--json")
        .error["message"]
        .startswith(argv[0].strip("-").replace("-", "_"))
    )


def test_a_conversation_goes_on_until_it_is_reset(chat):
    chat.say("One.")
    chat.say("Two.")
    assert [turn["role"] for turn in chat.turns] == ["user", "assistant", "user", "assistant"]
    chat.reset()
    assert chat.turns == []


def test_the_pieces_that_are_heard_make_the_answer(chat):
    chat.sampling, pieces = Sampling(max_new_tokens=16, temperature=2.0), []
    answer = chat.say("Is it well made?", pieces.append)["answer"]
    assert answer == "".join(pieces)
    assert len(pieces) > 2


def test_what_was_said_before_and_the_system_prompt_change_the_answer(chat):
    """Both reach the network: the prompt that it reads is longer."""
    lengths = []
    ask = chat.artifact.answers
    chat.artifact.answers = lambda conversations, *rest, **more: (
        lengths.append(len(conversations[0])),
        ask(conversations, *rest, **more),
    )[1]
    chat.say("One.")
    chat.system = "Be brief."
    chat.say("Two.")
    assert lengths == [1, 4]


def test_an_answer_that_fails_leaves_the_conversation_as_it_was(chat):
    from luthier.errors import DataError

    chat.say("One.")
    with pytest.raises(DataError):
        chat.say("word " * 5000)
    assert len(chat.turns) == 2


class Bytes:
    """A tokenizer whose every token is a byte."""

    def decode(self, ids, skip_special_tokens):
        return bytes(ids).decode("utf-8", "replace")


def test_half_a_character_is_not_heard():
    heard: list[str] = []
    reader, answer = _StreamDecoder(Bytes(), heard.append), Answer()
    for byte in "né→".encode():
        answer.ids.append(byte)
        reader.read(answer)
    assert heard == ["n", "é", "→"]


def test_a_person_at_a_terminal_is_answered_and_can_leave(run):
    argv = [sys.executable, "-m", "luthier", "chat", str(run), "--max-new-tokens", "4"]
    pid, handle = pty.fork()
    if pid == 0:
        os.execve(argv[0], argv, {**os.environ, "TERM": "dumb"})
    seen = ""

    def until(text: str) -> None:
        nonlocal seen
        deadline = time.monotonic() + 120
        while text not in seen:
            assert time.monotonic() < deadline, seen
            if select.select([handle], [], [], 1)[0]:
                seen += os.read(handle, 4096).decode(errors="replace")

    until("you> ")
    assert "/quit" in seen
    seen = ""
    os.write(handle, b"Hello.\n")
    until("you> ")
    os.write(handle, b"/quit\n")
    _, status = os.waitpid(pid, 0)
    os.close(handle)
    assert os.waitstatus_to_exitcode(status) == 0


def test_ctrl_c_ends_with_130(run):
    program = (
        "import luthier.cli.chat_session as c, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job ignores it
        "c.Chat.say = lambda *a: signal.raise_signal(signal.SIGINT)\n"
        f"from luthier.cli.main import main; main(['chat', {str(run)!r}, '--message', 'Hello.'])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=120).returncode == 130
