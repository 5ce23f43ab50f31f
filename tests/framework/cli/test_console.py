"""Data on stdout, prose on stderr; nothing that commands a terminal, no colour where none may be."""

from __future__ import annotations

import io

import pytest

from luthier.errors import RecipeError
from luthier.reporting.console import Console, harmless


class Screen(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)


def test_colour_shows_on_a_terminal_alone():
    assert harmless("\x1b[31mred\x1b[0m", Screen()) == "\x1b[31mred\x1b[0m"
    assert harmless("\x1b[31mred\x1b[0m", io.StringIO()) == "red"


def test_no_color_is_honoured(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert harmless("\x1b[31mred\x1b[0m", Screen()) == "red"


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[2J",
        "\x1b]0;title\x07",
        "\x1b]8;;http://x\x1b\\",
        "\x1bc",
        "\r",
        "\b",
        "\x9b2J",
        "\x00",
        "\x1b[6n",
        "\x1b[1;1H",
    ],
)
def test_what_commands_a_terminal_is_taken_out(text):
    assert "\x1b" not in harmless(f"a{text}b", Screen()).replace("\x1b[0m", "")
    assert not {"\r", "\b", "\x00", "\x9b", "\x07"} & set(harmless(f"a{text}b", Screen()))


def test_lines_and_tabs_stay():
    assert harmless("a\n\tb", Screen()) == "a\n\tb"


def test_an_old_code_page_gets_question_marks_and_no_crash():
    screen = Screen()
    screen.encoding = "cp1252"
    assert harmless("naïve → ★", screen) == "naïve ? ?"


def test_a_table_fits_80_columns_off_a_terminal(capsys):
    table = Console().table(("name", "what"), [("a" * 10, "word " * 60), ("[red]b[/red]", "markup stays text")])
    assert max(map(len, table.splitlines())) <= 80
    assert "[red]b[/red]" in table


def test_errors_are_red_on_a_terminal_alone(monkeypatch, capsys):
    Console().error(RecipeError("No."))
    assert capsys.readouterr().err == "error: No.\n"


def test_every_line_of_an_error_is_marked(capsys):
    Console().error(RecipeError("One.\nTwo."))
    assert capsys.readouterr().err == "error: One.\nerror: Two.\n"


def test_a_pipe_that_closes_is_no_error(here, tmp_path):
    import subprocess
    import sys

    program = "from luthier.cli.main import main; main(['schema'])"
    ended = subprocess.run(
        ["bash", "-c", f'{sys.executable} -c "{program}" | head -1; exit ${{PIPESTATUS[0]}}'],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0
    assert "Traceback" not in ended.stderr
