"""What each hook is for, by a plugin that uses it."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from luthier.errors import PluginError, ResourceError
from luthier.plugins import hookspecs
from luthier.plugins.registry import Plugins

HOOKS = [name for name in vars(hookspecs) if name.startswith("luthier_")]


def hook(name: str, body: str, arguments: str = "", marker: str = "@luthier.hookimpl") -> str:
    return f"{marker}\ndef {name}({arguments}):\n    {body}\n"


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_says_when_it_is_called_and_has_a_test(name):
    doc = getattr(hookspecs, name).__doc__
    assert ";" in doc or "when" in doc
    named = {node.name for node in ast.walk(ast.parse(Path(__file__).read_text())) if isinstance(node, ast.FunctionDef)}
    assert any(f"test_{name}" in test for test in named)


def test_luthier_recipes_brings_answers(luthier, distribution):
    answers = {"adaptation/mine": "# Every weight, as I like it.\n_target_: luthier.models.adaptation.FullFineTuning\n"}
    named = hook("luthier_recipes", "return 'pkg://luthier_mine.options'")
    distribution("luthier-mine", named, answers=answers, folder="options")
    assert luthier("adaptation=mine", "--cfg", "job").code == 0
    assert "Every weight, as I like it." in luthier("recipes", "adaptation").out


def test_a_package_of_recipes_beside_the_plugin_needs_no_hook(luthier, distribution):
    answers = {"adaptation/mine": "# Mine.\n_target_: luthier.models.adaptation.FullFineTuning\n"}
    distribution("luthier-mine", answers=answers)
    assert luthier("adaptation=mine", "--cfg", "job").code == 0


def test_a_folder_of_another_name_is_not_taken_without_the_hook(luthier, distribution):
    answers = {"adaptation/mine": "# Mine.\n_target_: luthier.models.adaptation.FullFineTuning\n"}
    distribution("luthier-mine", answers=answers, folder="options")
    assert luthier("adaptation=mine", "--cfg", "job").code == 2


def test_luthier_trusts_lets_recipes_name_more(luthier, distribution, write):
    write("recipes/tracking/mine.yaml", "# Mine.\n_target_: luthier_mine.Tracker\n")
    assert luthier("tracking=mine", "--cfg", "job").code == 6
    code = "class Tracker:\n    '''Tells nobody.'''\n" + hook("luthier_trusts", "yield 'luthier_mine.Tracker'")
    distribution("luthier-mine", code)
    assert luthier("tracking=mine", "--cfg", "job").code == 0


def test_luthier_check_ends_what_cannot_work_with_all_reasons(luthier, distribution):
    body = "if config.seed == 13:\n        yield 'Thirteen is unlucky.'\n        yield 'So is a Friday.'"
    distribution("luthier-mine", hook("luthier_check", body, "config"))
    assert luthier("--cfg", "job").code == 0
    end = luthier("seed=13", "--json")
    assert end.code == 2
    assert end.error["message"] == "Thirteen is unlucky.\nSo is a Friday."


def test_luthier_verbs_brings_a_verb_with_arguments_and_help(luthier, distribution):
    code = (
        "from luthier.contracts.verbs import Verb\n"
        "def declare(parser): parser.add_argument('wood')\n"
        "def act(call): call.console.data(f'Carved {call.arguments.wood}.', {'wood': call.arguments.wood}); return 0\n"
        + hook("luthier_verbs", "return [Verb('carve', 'Carve something', declare, act)]")
    )
    distribution("luthier-mine", code)
    assert luthier("carve", "maple").out == "Carved maple.\n"
    assert luthier("carve", "maple", "--json").record == {"wood": "maple"}
    assert "Carve something" in luthier("carve", "--help").out
    assert luthier("carve").code == 2
    assert "carve" in luthier("carv", "--json").error["hint"]


def test_luthier_callbacks_are_asked_for_with_the_recipe(distribution):
    body = "from pytorch_lightning.callbacks import Timer; return [Timer(config['duration'])]"
    distribution("luthier-mine", hook("luthier_callbacks", body, "config"))
    (given,) = dict(Plugins().ask("luthier_callbacks", config={"duration": {"seconds": 3}}))["luthier_mine"]
    assert given.time_remaining() == 3


def test_luthier_report_gives_lines(distribution):
    distribution("luthier-mine", hook("luthier_report", "yield f'seed {config[\"seed\"]}'", "config"))
    assert dict(Plugins().ask("luthier_report", config={"seed": 3}))["luthier_mine"] == ["seed 3"]


def test_luthier_report_sections_stand_in_the_report_and_one_that_fails_costs_a_line(luthier, distribution):
    rows = "[['maple', str(record.training.steps)]]"
    section = f"luthier.api.ReportSection(title='Wood', columns=['kind', 'rings'], rows={rows})"
    body = f"record.training.device = 'wood'; yield {section}"
    distribution("luthier-mine", "import luthier.api\n" + hook("luthier_report_sections", body, "record"))
    distribution("luthier-other", hook("luthier_report_sections", "raise ValueError('no rings')", "record"))
    end = luthier("debug=tiny", "name=run", "stages=[fit]")
    assert end.code == 0, end.err
    report = Path("runs/run/report.html").read_text()
    assert re.search(r"<h2[^>]*>Wood<.*rings.*maple.*2", report, re.DOTALL)
    assert json.loads(Path("runs/run/record.json").read_text())["training"]["device"] != "wood"
    assert "no rings" in end.err


@pytest.mark.parametrize(
    "given",
    [
        "paragraphs='a text'",
        "columns=('kind',)",
        "columns=['kind'], rows=['m']",
        "columns=['kind'], rows=[['maple', '3']]",
        "columns=['rings'], rows=[[3]]",
    ],
)
def test_luthier_report_sections_that_are_no_lists_of_texts_cost_a_line(given, distribution):
    body = f"return [luthier.api.ReportSection(title='Wood', {given})]"
    distribution(
        "luthier-mine", "import luthier.api\n" + hook("luthier_report_sections", body, "record"), plugin="mine"
    )
    ((_, (line,)),) = Plugins().ask("luthier_report_sections", record=None)
    assert "must return several report sections, each of lists of texts" in line
    assert "in luthier_report_sections (luthier-mine" in line


class Core:
    """The last word on `luthier_run`, as the core registers it."""

    def __init__(self, result: object) -> None:
        self.result = result

    @hookspecs.hookimpl(trylast=True)
    def luthier_run(self, run: object) -> float:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


WRAPPER = "@luthier.hookimpl(wrapper=True)"


def test_luthier_run_can_be_wrapped_before_and_after(distribution):
    body = "run.append('before'); score = yield; run.append('after'); return score + 1"
    distribution("luthier-mine", hook("luthier_run", body, "run", WRAPPER))
    plugins, log = Plugins(), []
    plugins.register(Core(1.0), "luthier")
    assert plugins.run(log) == 2.0
    assert log == ["before", "after"]


@pytest.mark.parametrize(
    ("body", "marker", "given"),
    [
        ("yield; return 'good'", WRAPPER, "and returned 'good'"),
        ("return 'good'", "@luthier.hookimpl", "and returned 'good'"),
    ],
)
def test_what_is_no_score_names_the_plugin_that_gives_it(body, marker, given, distribution):
    distribution("luthier-mine", hook("luthier_run", body, "run", marker), plugin="mine", version="4")
    plugins = Plugins()
    plugins.register(Core(1.0), "luthier")
    with pytest.raises(PluginError) as fault:
        plugins.run([])
    assert str(fault.value).startswith("mine (luthier-mine 4): luthier_run (luthier-mine 4, __init__.py:")
    assert f"must return the score of the run, a number or None, {given}" in str(fault.value)


@pytest.mark.parametrize(
    ("body", "marker", "did"),
    [
        ("if run is None: yield", WRAPPER, "did not yield"),
        ("yield; yield", WRAPPER, "yielded again"),
        ("yield; yield", "@luthier.hookimpl(hookwrapper=True)", "yielded again"),
    ],
)
@pytest.mark.parametrize("trace", [None, lambda line: None])
def test_luthier_run_wrapped_by_what_does_not_yield_once_names_the_plugin(body, marker, did, trace, distribution):
    distribution("luthier-mine", hook("luthier_run", body, "run", marker), plugin="mine", version="4")
    distribution("luthier-other", hook("luthier_run", "return (yield)", "run", WRAPPER), plugin="other")
    plugins = Plugins(trace=trace)
    plugins.register(Core(1.0), "luthier")
    with pytest.raises(
        PluginError, match=rf"mine \(luthier-mine 4\): luthier_run \(.*must yield once, .* and {did}"
    ) as fault:
        plugins.run([])
    assert trace or "other" not in str(fault.value)


def test_a_callback_that_is_none_names_the_plugin_that_gives_it(luthier, distribution):
    distribution("luthier-mine", hook("luthier_callbacks", "return [3]", "config"), plugin="mine", version="4")
    end = luthier("debug=tiny", "stages=[fit]")
    assert end.code == 7, end.err
    assert "Plugin mine (luthier-mine 4) failed in luthier_callbacks" in end.err
    assert (
        "it must return several Lightning callbacks, and returned with 3, in luthier_callbacks (luthier-mine" in end.err
    )


def test_a_callback_that_does_not_take_what_it_is_given_names_its_place(luthier, distribution):
    lines = (
        "import pytorch_lightning as pl",
        "class Mine(pl.Callback):",
        "    def on_fit_start(self, trainer): pass",
        "return [Mine()]",
    )
    distribution("luthier-mine", hook("luthier_callbacks", "\n    ".join(lines), "config"), plugin="mine", version="4")
    end = luthier("debug=tiny", "stages=[fit]")
    assert end.code == 7, end.err
    assert "on_fit_start() takes 2 positional arguments but 3 were given, in luthier_callbacks.<locals>" in end.err
    assert "(luthier-mine 4, __init__.py:6)" in end.err


def test_a_verb_that_fails_is_no_failure_of_an_answer_of_its_package(luthier, distribution):
    answers = {"tracking/mine": "# Mine.\n_target_: luthier_mine.parts.Tracker\n"}
    verb = "import luthier.api; return [luthier.api.Verb('mine', 'Mine.', lambda parser: None, lambda call: 1 / 0)]"
    distribution("luthier-mine", hook("luthier_verbs", verb), answers=answers)
    end = luthier("mine")
    assert end.code == 7, end.err
    assert "error: ZeroDivisionError: division by zero, in " in end.err


def test_calls_of_hooks_are_traced_with_their_plugin_order_and_time(luthier, distribution):
    distribution("luthier-mine", hook("luthier_check", "yield from ()", "config"), plugin="mine", version="4")
    end = luthier("recipe=demo", "--cfg", "job", "--trace-hooks")
    assert end.code == 0, end.err
    told = [line for line in end.err.splitlines() if line.startswith("hook luthier_check of mine (luthier-mine 4)")]
    assert len(told) == 2, end.err
    assert told[0].endswith(" is called")
    assert re.search(r" took \d+\.\d{3} s$", told[1])
    assert "hook" not in luthier("recipe=demo", "--cfg", "job").err


def test_luthier_run_is_traced_around_what_it_wraps(distribution):
    distribution("luthier-mine", hook("luthier_run", "return (yield) + 1", "run", WRAPPER), plugin="mine", version="4")
    told: list[str] = []
    plugins = Plugins(trace=told.append)
    plugins.register(Core(1.0), "luthier")
    assert plugins.run([]) == 2.0
    assert [line.split()[1:4:2] for line in told] == [
        ["luthier_run", "mine"], ["luthier_run", "luthier"], ["luthier_run", "luthier"], ["luthier_run", "mine"],
    ]  # fmt: skip
    assert told[-1].endswith("s, with what it wraps")


def test_luthier_run_shows_a_failure_to_who_wraps_it(distribution):
    body = "try:\n        return (yield)\n    except Exception as error:\n        run.append(error); raise"
    distribution("luthier-mine", hook("luthier_run", body, "run", WRAPPER))
    plugins, log = Plugins(), []
    plugins.register(Core(ResourceError("The disk is full.")), "luthier")
    with pytest.raises(ResourceError):
        plugins.run(log)
    assert len(log) == 1


def test_luthier_run_names_the_plugin_whose_code_fails(distribution):
    distribution(
        "luthier-mine", hook("luthier_run", "raise ValueError('out of wood')", "run"), plugin="mine", version="4"
    )
    plugins = Plugins()
    plugins.register(Core(1.0), "luthier")
    with pytest.raises(PluginError, match=r"ValueError: out of wood, in luthier_run \(luthier-mine 4, __init__.py:4\)"):
        plugins.run([])


def test_luthier_run_leaves_a_bug_of_the_core_a_bug(distribution):
    from luthier.workflows.run import CorePlugin as Last

    distribution("luthier-mine", hook("luthier_run", "return (yield)", "run", WRAPPER))
    plugins = Plugins()
    plugins.register(Last(), "luthier")
    with pytest.raises(AttributeError, match="carry_out"):
        plugins.run(SimpleNamespace())
