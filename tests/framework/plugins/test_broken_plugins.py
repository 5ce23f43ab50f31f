"""A broken plugin is named, with its distribution and version, and costs nobody else anything."""

from __future__ import annotations

import json
import sys
import weakref

import pytest

RECIPES = "@luthier.hookimpl\ndef luthier_recipes():\n    return 'pkg://{}.recipes'\n"
ELSEWHERE = "import luthier\n@luthier.hookimpl\ndef luthier_recipe(): ...\n"
BROKEN = {
    "raises": ("raise ValueError('out of wood')", "ValueError: out of wood"),
    "asks the process to end": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "raises what is no exception": ("raise BaseException('worse')", "BaseException: worse"),
    "is no Python": ("def f(:", "SyntaxError"),
    "misses a dependency": ("import no_such_dependency", "No module named 'no_such_dependency'"),
    "misspells a hook": (
        "@luthier.hookimpl\ndef luthier_recipe(): ...",
        "a hook luthier_recipe, which luthier does not have",
    ),
    "forgets the mark": ("def luthier_check(config): ...", "luthier_check is no hook without @luthier.api.hookimpl"),
    "misspells a hook without its mark": (
        "def luthier_chek(config): ...",
        "luthier_chek is no hook: did you mean luthier_check",
    ),
    "misspells a hook in another module": (
        "from luthier_broken.hooks import *",
        "a hook luthier_recipe, which luthier",
    ),
    "wants what a hook does not give": (
        "@luthier.hookimpl\ndef luthier_check(recipe): ...",
        "takes recipe, and is given config",
    ),
    "forgets that it wraps": (
        "@luthier.hookimpl\ndef luthier_run(run): return (yield)",
        "its hook luthier_run yields, and is no wrapper without @luthier.api.hookimpl(wrapper=True) before it",
    ),
    "wraps without a yield": (
        "@luthier.hookimpl(wrapper=True)\ndef luthier_run(run): return 1.0",
        "its hook luthier_run is a wrapper and yields nothing",
    ),
    "wraps in a coroutine": (
        "@luthier.hookimpl(wrapper=True)\nasync def luthier_run(run): yield",
        "its hook luthier_run is a wrapper and yields nothing",
    ),
    "wraps another hook": (
        "@luthier.hookimpl(wrapper=True)\ndef luthier_check(config): return (yield)",
        "its hook luthier_check is a wrapper, and only luthier_run is wrapped (__init__.py:",
    ),
    "names no folder": ("@luthier.hookimpl\ndef luthier_recipes(): return 'pkg://no_such_package'", "no_such_package"),
    "names a number as folder": (
        "@luthier.hookimpl\ndef luthier_recipes(): return 3",
        "it must return text, and returned 3, in luthier_recipes (luthier-broken 2.3, __init__.py:",
    ),
    "raises for its folder": (
        "@luthier.hookimpl\ndef luthier_recipes(): return 1 / 0",
        "ZeroDivisionError: division by zero, in luthier_recipes (luthier-broken 2.3, __init__.py:",
    ),
    "ends for its folder": ("@luthier.hookimpl\ndef luthier_recipes(): raise SystemExit(0)", "SystemExit"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_plugin_that_breaks_while_it_loads_is_named_and_left_out(how, luthier, distribution):
    code, reason = BROKEN[how]
    site = distribution("luthier-broken", code, plugin="broken", version="2.3")
    (site / "luthier_broken" / "hooks.py").write_text(ELSEWHERE)
    end = luthier("--cfg", "job")
    assert end.code == 0, end.err
    assert "broken (luthier-broken 2.3) is left out" in end.err
    assert reason in end.err
    (record,) = (one for one in luthier("plugins", "--json").record if one["name"] == "broken")
    assert record["state"] == "broken"
    assert reason in record["problem"]
    assert luthier("adaptation=lora", "--cfg", "job").code == 0, "the others still serve"


MISFITS = {
    "names no module": ({"entry": "luthier_broken:plugin"}, "must name a module: 'luthier_broken'"),
    "is for a later luthier": ({"requires": "luthier>=9"}, "it needs luthier >=9, and this is luthier"),
    "is for an earlier luthier": ({"requires": "luthier (<0.1)"}, "it needs luthier <0.1, and this is luthier"),
}


@pytest.mark.parametrize("how", MISFITS)
def test_a_plugin_that_cannot_fit_is_named_and_not_imported(how, luthier, distribution):
    metadata, reason = MISFITS[how]
    distribution("luthier-broken", "raise ValueError('imported')", plugin="broken", version="2.3", **metadata)
    end = luthier("--cfg", "job")
    assert end.code == 0, end.err
    assert "broken (luthier-broken 2.3) is left out" in end.err
    assert reason in end.err
    assert "imported" not in end.err


@pytest.mark.parametrize("needed", ["luthier>=0.1", "luthier", "luthier-haiku>=9", "luthier[dspy]>=0.1"])
def test_a_plugin_for_this_luthier_is_loaded(needed, luthier, distribution):
    distribution("fitting", "", requires=needed)
    assert "left out" not in luthier("--cfg", "job").err


def hook(name: str, body: str) -> str:
    arguments = "config" if name in {"luthier_check", "luthier_callbacks", "luthier_report"} else ""
    return f"@luthier.hookimpl\ndef {name}({arguments}):\n    {body}\n"


FAULTS = {
    "raises": ("raise ValueError('out of wood')", "ValueError: out of wood, in luthier_"),
    "raises half-way": ("yield 'one'\n    raise ValueError('out of wood')", "ValueError: out of wood"),
    "ends the process": ("raise SystemExit(0)", "SystemExit: 0"),
    "gives a number": ("return 3", "it must return several "),
    "gives a word for several": ("return 'one'", "and returned 'one', in luthier_"),
    "gives numbers": ("return [1, 2]", "and returned with 1, in luthier_"),
    "gives a dictionary": ("return {'one': 1}", "and returned {'one': 1}, in luthier_"),
}
ASKED = {
    "luthier_trusts": ["--cfg", "job"],
    "luthier_check": ["--cfg", "job"],
    "luthier_verbs": ["nosuchverb"],
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ASKED)
def test_a_hook_that_fails_is_named_with_its_plugin(name, fault, luthier, distribution):
    body, reason = FAULTS[fault]
    distribution("luthier-broken", hook(name, body), plugin="broken", version="2.3")
    end = luthier(*ASKED[name], "--json")
    assert end.code == 7, end.err
    assert "broken (luthier-broken 2.3)" in end.error["message"]
    assert name in end.error["message"]
    assert reason in end.error["message"]
    assert "(luthier-broken 2.3, __init__.py:" in end.error["message"]
    assert "-p no:broken" in end.error["hint"]
    assert luthier(*ASKED[name], "-p", "no:broken").code == (2 if name == "luthier_verbs" else 0)


def test_a_hook_that_only_tells_costs_a_line_and_not_the_run(distribution):
    from luthier.plugins.registry import Plugins

    distribution("luthier-broken", hook("luthier_report", "raise ValueError('out of wood')"), plugin="broken")
    told = dict(Plugins().ask("luthier_report", config=None))
    assert told["broken"][0].startswith("warning: Plugin broken (luthier-broken 1.0) failed in luthier_report")


def test_what_a_plugin_prints_does_not_spoil_the_answer(luthier, distribution):
    code = "print('loading')\n" + RECIPES.format("luthier_loud") + hook("luthier_check", "print('checking'); return []")
    distribution("luthier-loud", code)
    end = luthier("recipe=demo", "--cfg", "job", "--json")
    assert end.record["score"] == "accuracy"
    assert "loading" in end.err
    assert "checking" in end.err


def test_a_plugin_cannot_change_the_recipe_it_is_shown(luthier, distribution):
    distribution("luthier-meddler", hook("luthier_check", "config.seed = 9; return []"), plugin="meddler")
    end = luthier("--cfg", "job", "--json")
    assert end.code == 7
    assert "meddler" in end.error["message"]


def test_a_slow_plugin_is_named(luthier, distribution):
    distribution("luthier-slow", "import time; time.sleep(1.2)", plugin="slow")
    end = luthier("--cfg", "job")
    assert end.code == 0
    assert "slow (luthier-slow 1.0) took" in end.err


def test_two_plugins_of_one_name_are_refused_with_both_distributions(luthier, distribution):
    distribution("luthier-one", plugin="twin", version="1.1")
    distribution("luthier-two", plugin="twin", version="2.2")
    end = luthier("--cfg", "job", "--json")
    assert end.code == 7
    assert all(name in end.error["message"] for name in ("luthier-one 1.1", "luthier-two 2.2", "'twin'"))


def test_a_plugin_cannot_take_the_name_of_one_that_ships(luthier, distribution):
    distribution("luthier-impostor", plugin="sft")
    end = luthier("--cfg", "job", "--json")
    assert end.code == 7
    assert "luthier-impostor" in end.error["message"]


def test_two_plugins_with_one_answer_are_refused_with_both_files(luthier, distribution):
    for name in ("luthier-one", "luthier-two"):
        code = RECIPES.format(name.replace("-", "_"))
        distribution(
            name, code, answers={"adaptation/mine": "# Mine.\n_target_: luthier.models.adaptation.FullFineTuning\n"}
        )
    end = luthier("adaptation=mine", "--cfg", "job", "--json")
    assert end.code == 7
    assert all(
        name in end.error["message"] for name in ("luthier_one/recipes", "luthier_two/recipes", "adaptation=mine")
    )
    assert luthier("adaptation=mine", "--cfg", "job", "-p", "no:luthier_two").code == 0


def test_an_option_file_that_names_no_class_is_named(luthier, distribution):
    answers = {"tracking/mine": "# Mine.\n_target_: luthier_odd.Nothing\n"}
    distribution("luthier-odd", RECIPES.format("luthier_odd"), answers=answers)
    end = luthier("tracking=mine", "--json")
    assert end.code == 7
    assert "luthier_odd.Nothing" in end.error["message"]
    assert luthier("explain", "tracking=mine").code == 7
    assert luthier("tracking=none", "--cfg", "job").code == 0


@pytest.mark.parametrize("off", [["-p", "no:quiet"], ["-p=no:quiet"]])
def test_a_plugin_that_is_off_is_not_even_imported(off, luthier, distribution):
    distribution("luthier-quiet", "raise SystemExit('imported')", plugin="quiet")
    end = luthier(*off, "--cfg", "job")
    assert (end.code, end.err) == (0, "")
    assert "luthier_quiet" not in sys.modules


def test_only_the_plugins_that_the_environment_names_load(luthier, distribution, monkeypatch):
    distribution("luthier-quiet", "", plugin="quiet")
    monkeypatch.setenv("LUTHIER_PLUGINS", "sft, adapters")
    assert luthier("adaptation=lora", "--cfg", "job").code == 0
    assert "luthier_quiet" not in sys.modules
    states = {one["name"]: one["state"] for one in luthier("plugins", "--json").record}
    assert states["quiet"] == states["tracking"] == "off"
    assert states["sft"] == states["adapters"] == "on"


def test_an_empty_list_of_plugins_loads_none(luthier, monkeypatch):
    monkeypatch.setenv("LUTHIER_PLUGINS", "")
    assert luthier("method=sft").code == 2
    assert {one["state"] for one in luthier("plugins", "--json").record} == {"off"}


def test_a_plugin_that_the_environment_misspells_is_named(luthier, monkeypatch):
    monkeypatch.setenv("LUTHIER_PLUGINS", "stf")
    end = luthier("--cfg", "job", "--json")
    assert end.code == 2
    assert "sft" in end.error["hint"]


def test_a_module_that_is_named_and_breaks_ends_the_command(luthier, write, here, monkeypatch):
    write("splinter.py", "raise ValueError('out of wood')")
    monkeypatch.syspath_prepend(str(here))
    end = luthier("-p", "splinter", "--cfg", "job", "--json")
    assert end.code == 7
    assert "out of wood" in end.error["message"]


FILES = {
    "is not UTF-8": ("# Caf\xe9.\n_target_: luthier_broken.It\n".encode("latin-1"), "is not UTF-8"),
    "builds nothing": (b"# It.\nfile: x\n", "has no _target_"),
    "is a list": (b"# It.\n- a\n", "must be a mapping"),
    "is two": (b"# It.\n_target_: luthier_broken.It\n---\nfile: x\n", "is not YAML: but found another document"),
    "says a thing twice": (b"# It.\n_target_: a.It\nfile: x\nfile: y\n", "is not YAML: found duplicate key file"),
    "has a tab": (b"# It.\n_target_: a.It\n\tfile: x\n", "is not YAML: found character"),
    "names an entry point": (b"# It.\n_target_: luthier_broken:It\n", "has the _target_ 'luthier_broken:It', which"),
    "names a bare class": (b"# It.\n_target_: It\n", "has the _target_ 'It', which is no dotted name"),
    "names it relatively": (b"# It.\n_target_: .parts.It\n", "has the _target_ '.parts.It', which is no dotted name"),
    "names a list": (b"# It.\n_target_: [a.It]\n", "has the _target_ ['a.It'], which is no dotted name"),
    "steers a call": (b"# It.\n_target_: a.It\n_args_: [1]\n", "the key '_args_', and may have _partial_ and _target_"),
    "ends an interpolation nowhere": (b"# It.\n_target_: a.It\nfile: ${seed\n", "cannot be composed: file: no viable"),
    "stands elsewhere": (b"# @package _global_\n# It.\n_target_: a.It\n", "says @package _global_, and an answer"),
    "has one default": (b"# It.\ndefaults: cosine\n_target_: a.It\n", "cannot be composed: Invalid defaults list"),
}


@pytest.mark.parametrize("how", FILES)
def test_an_option_file_that_is_none_is_told_where_it_is_used_and_costs_nobody_else_anything(
    how, luthier, distribution
):
    text, reason = FILES[how]
    site = distribution("luthier-broken", "", plugin="broken", version="2.3", answers={"data/it": ""})
    (site / "luthier_broken" / "recipes" / "data" / "it.yaml").write_bytes(text)
    assert luthier("recipe=demo", "--cfg", "job").code == 0
    schema = luthier("schema")
    assert schema.code == 0, schema.err
    definitions = json.loads(schema.out)["definitions"]
    assert "data=it" in definitions
    assert definitions["data=tiny"]["additionalProperties"] is False
    for words in (["plan", "recipe=demo", "data=it"], ["recipe=demo", "data=it", "--cfg", "job"]):
        end = luthier(*words, "--json")
        assert end.code == 7, end.err
        assert reason in end.error["message"]
        assert "data=it, of broken (luthier-broken 2.3)" in end.error["message"]


def test_an_option_file_that_is_none_is_told_under_its_qualified_name_too(luthier, distribution):
    text = "# It.\n_target_: a.It\nfile: ${seed\n"
    for name in ("one", "two"):
        distribution(f"luthier-{name}", plugin=name, version="2.3", answers={"data/it": text})
    end = luthier("recipe=demo", "data=two.it", "--cfg", "job", "--json")
    assert end.code == 7, end.err
    assert "data=two.it, of two (luthier-two 2.3), cannot be composed" in end.error["message"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("${nowhere.at.all}", "optimizer.beta1 refers to 'nowhere.at.all', which the recipe does not have"),
        ("${nowhere:1}", "optimizer.beta1 uses the resolver 'nowhere', which does not exist"),
    ],
)
def test_an_interpolation_that_leads_nowhere_is_told_with_its_file_and_line(value, reason, luthier, distribution):
    answer = f"# The pace.\n_target_: luthier.training.optimizers.adamw.AdamW\nbeta1: {value}\n"
    distribution("shop", answers={"optimizer/pace": answer})
    end = luthier("recipe=demo", "optimizer=pace", "--cfg", "job", "--json")
    assert end.code == 2, end.err
    assert reason in end.error["message"]
    assert end.error["where"].endswith("shop/recipes/optimizer/pace.yaml:3")


PARTS = """
class Raises:
    def __init__(self, *, n: int = 1):
        self.n = n / 0

class Lacks:
    def __init__(self, *, n: int = 1):
        pass
"""


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (
            "Raises",
            "prompt=it failed: ZeroDivisionError: division by zero, "
            "in Raises.__init__ (luthier-broken 2.3, __init__.py:5)",
        ),
        ("Lacks", "Lacks (luthier-broken 2.3, __init__.py:7) has no method learn(examples, tokenizer)"),
    ],
)
def test_a_failure_of_a_part_names_its_distribution_file_and_line(part, reason, luthier, distribution):
    answer = f"# It.\n_target_: luthier_broken.{part}\n"
    distribution("luthier-broken", PARTS, plugin="broken", version="2.3", answers={"prompt/it": answer})
    end = luthier("recipe=demo", "debug=tiny", "prompt=it", "stages=[fit]", "--json")
    assert end.code == 7, end.err
    assert reason in end.error["message"]


def test_an_answer_that_two_plugins_give_is_refused_where_it_is_used_and_each_has_a_qualified_name(
    luthier, distribution
):
    rates = {"one": 0.1, "two": 0.2}
    for name, rate in rates.items():
        answer = f"# The pace.\n_target_: luthier.training.optimizers.adamw.AdamW\nbeta1: {rate}\n"
        distribution(f"shop-{name}", "", plugin=name, version="1.2", answers={"optimizer/pace": answer})
    assert luthier("recipe=demo", "--cfg", "job").code == 0
    end = luthier("recipe=demo", "optimizer=pace", "--cfg", "job", "--json")
    assert end.code == 7, end.err
    assert all(f"{name} (shop-{name} 1.2)" in end.error["message"] for name in rates)
    assert "optimizer=one.pace or optimizer=two.pace" in end.error["hint"]
    for name, rate in rates.items():
        chosen = luthier("recipe=demo", f"optimizer={name}.pace", "optimizer.weight_decay=0.5", "--cfg", "job")
        assert chosen.code == 0, chosen.err
        assert f"beta1: {rate}" in chosen.out
        assert "weight_decay: 0.5" in chosen.out
        assert "The pace" in luthier("explain", f"optimizer={name}.pace").out


def test_an_answer_that_several_give_stands_in_lists_by_its_qualified_names_alone(luthier, distribution, monkeypatch):
    for name in ("one", "two", "three"):
        answer = "# The pace.\n_target_: luthier.training.optimizers.adamw.AdamW\n"
        distribution(f"shop-{name}", "", plugin=name, answers={"optimizer/pace": answer})
    names = ["one.pace", "three.pace", "two.pace"]
    listed = {one["name"] for one in luthier("recipes", "optimizer", "--json").record}
    assert {name for name in listed if "pace" in name} == set(names)
    brought = {one["name"]: one["answers"] for one in luthier("plugins", "--json").record}
    assert brought["one"] == ["optimizer=one.pace"]
    schema = luthier("schema").record
    assert [name for name in schema["properties"]["defaults"]["items"]["anyOf"] if '"pace"' in str(name)] == []
    end = luthier("explain", "optimizer=pace", "--json")
    assert end.code == 7, end.out
    assert "one (shop-one 1.0)" in end.error["message"]
    assert "optimizer=three.pace" in end.error["hint"]
    monkeypatch.setenv("COMP_LINE", "luthier optimizer=")
    monkeypatch.setenv("COMP_POINT", "18")
    offered = luthier("-sc", "query=bash").out.split()
    assert sorted(one for one in offered if "pace" in one) == [f"optimizer={name}" for name in names]


def test_a_verb_that_another_hides_is_named_and_the_verbs_of_plugins_stand_in_the_help(luthier, distribution):
    code = """
from luthier.api import Verb
@luthier.hookimpl
def luthier_verbs():
    return [Verb(name, f"Help of {name}", lambda parser: None, lambda call: 0) for name in ("plan", "plane-down")]
"""
    distribution("luthier-planes", code, plugin="planes", version="3.0")
    end = luthier("--help")
    assert "Help of plane-down" in end.out
    assert "Help of plan\n" not in end.out
    assert "the verb 'plan' of plugin planes (luthier-planes 3.0) is left out" in end.err
    assert luthier("plane-down").code == 0


VERBS = """
from luthier.api import Verb
def declare(parser): parser.add_argument("--deep", action="store_true")
async def late(call): return 0
def told(call): return "fine"
def yes(call): return True
def wraps(call): return 256
def nothing(call): ...
def parserless(): ...
ACTS = {"late": late, "told": told, "yes": yes, "wraps": wraps, "nothing": nothing, "callless": lambda: 0}
@luthier.hookimpl
def luthier_verbs():
    acts = [Verb(name, "It acts", declare, act) for name, act in ACTS.items()]
    return [*acts, Verb("parserless", "It declares", parserless, nothing), Verb("empty", "It", lambda: None, nothing)]
"""
BLAMED = {
    "late": "late (shop-verbs 1.2, __init__.py:5) must return the exit code of the verb 'late', 0 to 255, and returned "
    "a coroutine, as it is async.",
    "told": "told (shop-verbs 1.2, __init__.py:6) must return the exit code of the verb 'told', 0 to 255, and returned "
    "'fine'.",
    "yes": "yes (shop-verbs 1.2, __init__.py:7) must return the exit code of the verb 'yes', 0 to 255, and returned "
    "True.",
    "wraps": "wraps (shop-verbs 1.2, __init__.py:8) must return the exit code of the verb 'wraps', 0 to 255, and "
    "returned 256.",
    "callless": "TypeError: <lambda>() takes 0 positional arguments but 1 was given, in <lambda> (shop-verbs 1.2, "
    "__init__.py:11).",
    "parserless": "TypeError: parserless() takes 0 positional arguments but 1 was given, in parserless (shop-verbs "
    "1.2, __init__.py:10).",
    "empty": "TypeError: luthier_verbs.<locals>.<lambda>() takes 0 positional arguments but 1 was given, in "
    "luthier_verbs.<locals>.<lambda> (shop-verbs 1.2, __init__.py:15).",
}


@pytest.mark.parametrize("verb", BLAMED)
def test_a_verb_that_does_not_do_what_verbs_do_is_named_and_no_bug_of_luthier(verb, luthier, distribution):
    distribution("shop-verbs", VERBS, version="1.2")
    end = luthier(verb, "--json")
    assert (end.code, end.error["message"]) == (7, BLAMED[verb]), end.err
    assert luthier("nothing").code == 0


def test_the_maker_of_a_lambda_is_found_where_the_process_holds_a_proxy_of_what_is_gone(luthier, distribution):
    distribution("shop-verbs", VERBS, version="1.2")
    gone = weakref.proxy(set())
    end = luthier("empty", "--json")
    assert (end.code, end.error["message"]) == (7, BLAMED["empty"]), end.err
    assert type(gone) in weakref.ProxyTypes


@pytest.mark.parametrize("words", ["'two words', 'It'", "'-x', 'It'", "'a=b', 'It'", "None, 'It'", "'x', None"])
def test_a_verb_that_cannot_be_typed_is_left_out_and_named(words, luthier, distribution):
    code = f"from luthier.api import Verb\n@luthier.hookimpl\ndef luthier_verbs(): return [Verb({words}, print, print)]"
    distribution("shop-verbs", code, version="1.2")
    distribution("shop-wax", code.replace(f"{words}, print, print", "'w', 'Waxes', lambda p: None, lambda c: 0"))
    end = luthier("--help")
    assert end.code == 0
    assert "shop_verbs (shop-verbs 1.2)" in end.err, end.err
    assert "Waxes" in end.out
    assert luthier("w").code == 0
