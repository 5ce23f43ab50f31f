"""Who may know whom: nothing imports the command line, plugins know only luthier, the ground knows nothing above it."""

from __future__ import annotations

import sys
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.architecture.sources import core, modules, plugins

COMMAND_LINE = {
    "cli", "__main__", "verbs", "helptext", "recipe_command", "completion", "chatting", "planning", "pipelines",
    "comparing", "advising",
}  # fmt: skip
ABOVE_THE_TORCH_LINE = {
    "advising", "cli", "completion", "composing", "console", "errors", "exit_codes", "helptext", "hook_calls",
    "hookspecs", "kept", "nearest", "pipelines", "plugins", "recipe_command", "sweeps", "threads", "trust",
}  # fmt: skip
LIGHT = {  # of packages that are heavy otherwise: what a command needs to know of a run
    "luthier.training.signals", "luthier.training", "luthier.runs", "luthier.runs.folder", "luthier.runs.unfinished",
    "luthier.runs.redaction", "luthier.runs.lock", "luthier.fetch", "luthier.fetch.cache", "luthier.fetch.extras",
}  # fmt: skip
GROUND = {"errors", "nearest", "losses", "parts", "hookspecs"}
MAY_KNOW = {  # what is named here knows these and nothing else of luthier
    "data": {"fetch", "errors", "nearest", "parts", "report"},
    "models": {"artifact", "attention", "beside", "errors", "fetch", "nearest"},
    "generate": {"attention", "data", "errors", "head", "parts", "scoring"},
    "report": {"errors", "parts"},
    "optimizers": {"errors", "fetch", "parts"},
    "fetch": {"errors", "nearest"},
    "adaptation": {"errors", "head", "models", "nearest", "new_tokens", "parts"},
    "prompt": {"errors", "evaluate", "parts"},
    "method": {"beside", "data", "errors", "new_tokens", "parts"},
}
JOINTS = {("luthier.models.run", "luthier.artifact"), ("luthier.evaluate.finished", "luthier.artifact")}
ABOVE_A_RUN = {"assemble", "run", "composing", "kept", "plugins", "trust", "sweeps"}
HEAVY = {"torch", "transformers", "pytorch_lightning", "datasets", "peft", "accelerate", "wandb", "pydantic", "optuna"}


def known(module: str, *, lazy: bool) -> set[str]:
    """The packages of luthier that a module imports."""
    found = {name for name in modules()[module].imports(lazy=lazy) if name.split(".")[0] == "luthier"}
    return {modules()[name].package for name in found if name in modules()} - {modules()[module].package, "luthier"}


@pytest.mark.parametrize("module", [module.name for module in core()])
def test_nothing_knows_the_command_line_but_itself(module):
    if modules()[module].package not in COMMAND_LINE | {"testing"}:  # what is tested may be a plan, too
        assert not known(module, lazy=True) & COMMAND_LINE


@pytest.mark.parametrize("package", MAY_KNOW)
def test_a_package_knows_what_it_may(package):
    for module in core():
        if module.package == package:
            assert known(module.name, lazy=True) <= MAY_KNOW[package], module.name


def test_only_the_joints_reach_from_parts_to_what_runs_them():
    parts = {"models", "data", "generate", "evaluate", "optimizers", "adaptation", "prompt", "method", "losses"}
    for module in core():
        if module.package in parts:
            assert not known(module.name, lazy=True) & ABOVE_A_RUN, module.name
            reached = {(module.name, name) for name in module.imports(lazy=True) if name == "luthier.artifact"}
            assert reached <= JOINTS


@pytest.mark.parametrize("package", sorted(GROUND))
def test_the_ground_knows_nothing_above_it(package):
    for module in core():
        if module.package == package:
            assert known(module.name, lazy=True) <= GROUND, module.name


@pytest.mark.parametrize("module", [module.name for module in core() if module.package in ABOVE_THE_TORCH_LINE])
def test_above_the_torch_line_nothing_heavy_is_imported_at_the_top(module):
    tops = {name.split(".")[0] for name in modules()[module].imports(lazy=False)}
    assert not tops & HEAVY
    heavy = {name for name in modules()[module].imports(lazy=False) if name in modules()} - LIGHT
    assert {modules()[name].package for name in heavy} <= ABOVE_THE_TORCH_LINE | {"verbs", "luthier"}


@pytest.mark.parametrize("module", [module.name for module in plugins()])
def test_a_plugin_knows_luthier_and_itself_alone(module):
    own = module.split(".")[0]
    families = {name.split(".")[0] for name in modules()} - {own, "luthier"}
    assert not {name.split(".")[0] for name in modules()[module].imports(lazy=True)} & families


def test_the_core_knows_no_plugin():
    families = {module.name.split(".")[0] for module in plugins()}
    for module in core():
        assert not {name.split(".")[0] for name in module.imports(lazy=True)} & families, module.name
        text = module.file.read_text(encoding="utf-8")
        assert not [family for family in families if f'"{family}' in text], module.name


@pytest.mark.parametrize("module", [module.name for module in plugins() if "." not in module.name])
def test_a_plugin_is_light_to_import(module):
    """Its own module holds hooks: it imports luthier, and of the rest only what Python brings."""
    tops = {name.split(".")[0] for name in modules()[module].imports(lazy=False)}
    assert tops <= {"luthier", "omegaconf", "__future__"} | set(sys.stdlib_module_names)


def test_no_module_imports_itself_in_a_circle():
    graph = {
        name: {one for one in module.imports(lazy=False) if one in modules()} for name, module in modules().items()
    }
    graph = {name: {one for one in found if not name.startswith(f"{one}.")} for name, found in graph.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(" → ".join(circle.args[1]))


def test_the_lists_of_this_test_name_what_there_is():
    packages = {module.package for module in core()}
    assert COMMAND_LINE | ABOVE_THE_TORCH_LINE | GROUND | set(MAY_KNOW) <= packages
    assert {one for pair in JOINTS for one in pair} <= set(modules())
