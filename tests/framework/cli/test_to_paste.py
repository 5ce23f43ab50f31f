"""Commands that are printed can be pasted: quoted for a shell, with the flags that they need."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from luthier.cli.session import Flags
from luthier.workflows.recording import _next

RECIPE = "# @package _global_\n# Mine.\nseed: 3\n"


@pytest.fixture
def flags(write):
    """Flags without which the recipe `mine` is not there, or is another."""
    write("own folder/recipe/mine.yaml", RECIPE)
    write("own_plugin.py", "")
    return ["-p", "own_plugin", "--trust", "some.thing", "--config-dir", "own folder"]


def test_the_line_of_a_plan_plans_the_same_when_it_is_pasted(luthier, flags):
    end = luthier("plan", "recipe=mine", "debug=tiny", "stages=[baseline, evaluate]", *flags)
    assert end.code == 0, end.err
    *_, verdict, line = end.out.splitlines()
    words = shlex.split(line.removeprefix("run it:"))
    assert [word for word in flags if word not in words] == []
    again = luthier("plan", *words[1:])
    assert again.code == 0, again.err
    assert again.out.splitlines()[-2:] == [verdict, line]
    assert luthier("plan", "--json", *words[1:]).record["run"] == line.removeprefix("run it:").strip()


def test_the_next_command_of_an_explained_recipe_works_when_it_is_pasted(luthier, flags):
    line = luthier("explain", "recipe=mine", *flags).out.splitlines()[-1].removesuffix(" says what it comes to.")
    assert luthier(*shlex.split(line)[1:3], "debug=tiny", *shlex.split(line)[3:]).code == 0


def test_the_commands_of_init_have_the_flags_of_its_own(luthier, write):
    write("mine.jsonl", '{"prompt": "Hello.", "completion": "Good day."}\n' * 3)
    write("own_plugin.py", "")
    commands = luthier("init", "mine.jsonl", "-p", "own_plugin", "--json").record["next"]
    assert all(shlex.split(command)[-2:] == ["-p", "own_plugin"] for command in commands)


def test_flags_of_output_are_no_part_of_a_command_to_paste():
    assert Flags.parse(["--json", "--debug", "-p", "a b"]).to_paste("plan") == "luthier plan -p 'a b'"


def test_what_to_do_with_a_run_next_is_quoted_and_has_its_flags():
    composition = SimpleNamespace(flags=("--json", "-p", "own", "--trust", "x", "--config-dir", "d"))
    method = SimpleNamespace(is_generative=True)
    folder = SimpleNamespace(path=Path("runs/it's, mine"))
    prompt = SimpleNamespace(opening=lambda: "")
    parts = SimpleNamespace(method=method, prompt=prompt)
    commands = _next(SimpleNamespace(folder=folder, composition=composition, parts=parts))
    words = {what: shlex.split(command) for what, command in commands.items()}
    own = ["-p", "own", "--trust", "x"]
    assert words["talk to it"] == ["luthier", "chat", "runs/it's, mine", *own]
    assert words["export it for plain transformers"][2:4] == ["runs/it's, mine", "runs/it's, mine/exported"]
    of_recipes = [*own, "--config-dir", "d"]
    assert words["go on from it"] == ["luthier", "model=run", 'model.path="runs/it\'s, mine"', *of_recipes]
    parts.prompt.opening = lambda: None  # it looks at each question, so that no chat template can do what it does
    exported = _next(SimpleNamespace(folder=folder, composition=composition, parts=parts))
    assert "--without-prompt" in shlex.split(exported["export it for plain transformers"])
