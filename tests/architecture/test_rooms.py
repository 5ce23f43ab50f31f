"""Which room may import which: one ordered list, and the line above which nothing heavy is imported."""

from __future__ import annotations

import ast
import re
import sys
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.architecture.sources import HEAVY, Module, core, modules, plugins

ROOMS = [
    "testing", "api", "cli", "workflows", "evaluation", "training", "inference", "records", "reporting", "config",
    "data", "models", "plugins", "contracts", "fetch", "disk", "errors", "version",
]  # fmt: skip
"""From top to bottom: a room imports itself and those below it."""
TOP = {"luthier", "luthier.__main__"}
"""The package itself and `python -m luthier`, which hand on to the API and the command line."""

LIGHT_ROOMS = {"cli", "config", "plugins", "disk", "errors", "version"}
LIGHT = {
    "luthier", "luthier.api", "luthier.cli.pipeline", "luthier.contracts", "luthier.contracts.trust",
    "luthier.contracts.verbs", "luthier.evaluation", "luthier.evaluation.citations", "luthier.fetch",
    "luthier.fetch.cache", "luthier.fetch.digests", "luthier.fetch.extras", "luthier.fetch.paths", "luthier.records",
    "luthier.records.folder", "luthier.records.lock", "luthier.records.ranks", "luthier.records.unfinished",
    "luthier.records.whole_scores",
    "luthier.reporting", "luthier.reporting.console",
    "luthier.training", "luthier.training.child_processes", "luthier.training.signals", "luthier.workflows",
    "luthier.workflows.artifact_manifest",
    "luthier.workflows.advice", "luthier.workflows.advice.facts", "luthier.workflows.advice.rules",
    "luthier.workflows.cached_runs", "luthier.workflows.cached_runs.cached_run",
    "luthier.workflows.cached_runs.key", "luthier.workflows.comparison", "luthier.workflows.comparison.contenders",
    "luthier.workflows.new_plugin", "luthier.workflows.new_plugin.kinds",
    "luthier.workflows.pipelines", "luthier.workflows.pipelines.addressing",
    "luthier.workflows.pipelines.definition", "luthier.workflows.pipelines.running", "luthier.workflows.quiet",
    "luthier.workflows.sweeps",
    "luthier.workflows.sweeps.jobs", "luthier.workflows.sweeps.listed_sweeper",
    "luthier.workflows.sweeps.optuna_sweeper",
    "luthier.workflows.sweeps.objectives", "luthier.workflows.sweeps.search_space", "luthier.workflows.sweeps.study",
    "luthier.workflows.sweeps.trials",
}  # fmt: skip
"""The torch line: these, and the rooms above, import nothing heavy at their top."""
DOTTED = re.compile(r"luthier\w*(\.\w+)+")


def every_import(module: Module) -> set[str]:
    """The modules of this project that a module names: at its top, in functions, for type checkers, in strings."""
    found, named = set(), set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = _absolute(module, node)
            found |= {f"{package}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and DOTTED.fullmatch(node.value):
            named.add(node.value)
    known = {one for name in found if (one := _module(name)) is not None}
    return (known | {one for name in named if (one := _module(name)) not in {None, "luthier"}}) - {module.name}


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    inside = module.name.split(".") if module.file.name == "__init__.py" else module.name.split(".")[:-1]
    return ".".join([*inside[: len(inside) - node.level + 1], *filter(None, [node.module])])


def _module(name: str) -> str | None:
    """The longest beginning of a dotted name that is a module of this project."""
    words = name.split(".")
    found = (".".join(words[:end]) for end in range(len(words), 0, -1))
    return next((one for one in found if one in modules()), None)


def room(name: str) -> str:
    return modules()[name].package


@pytest.mark.parametrize("module", [module for module in core() if module.name not in TOP], ids=lambda one: one.name)
def test_a_room_imports_only_itself_and_the_rooms_below_it(module):
    known = {name for name in every_import(module) if name.split(".")[0] == "luthier"}
    upward = {name for name in known if name in TOP or ROOMS.index(room(name)) < ROOMS.index(module.package)}
    assert not upward


def test_no_module_imports_itself_in_a_circle_of_any_size():
    graph = {name: every_import(module) for name, module in modules().items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(" → ".join(circle.args[1]))


def test_the_rooms_of_the_list_are_the_rooms_that_there_are():
    assert {room(module.name) for module in core() if module.name not in TOP} == set(ROOMS)
    assert set(modules()) >= LIGHT


@pytest.mark.parametrize(
    "module", [one for one in core() if one.package in LIGHT_ROOMS or one.name in LIGHT], ids=lambda one: one.name
)
def test_above_the_torch_line_nothing_heavy_is_imported_at_the_top(module):
    tops = module.imports(lazy=False)
    assert not {name.split(".")[0] for name in tops} & HEAVY
    ours = {name for name in tops if name.split(".")[0] == "luthier"}
    assert {name for name in ours if room(name) not in LIGHT_ROOMS} <= LIGHT


@pytest.mark.parametrize("module", plugins(), ids=lambda one: one.name)
def test_a_plugin_imports_the_api_the_testing_kit_and_itself(module):
    own = module.name.split(".")[0]
    found = {name for name in every_import(module) if name.split(".")[0] != own}
    assert not {name for name in found if name.split(".")[1:2] not in (["api"], ["testing"])}


@pytest.mark.parametrize("module", core(), ids=lambda one: one.name)
def test_the_core_imports_no_plugin(module):
    assert {name.split(".")[0] for name in every_import(module)} <= {"luthier"}
    text = module.file.read_text(encoding="utf-8")
    assert not [family for family in {one.name.split(".")[0] for one in plugins()} if f'"{family}' in text]


@pytest.mark.parametrize("module", [one for one in plugins() if "." not in one.name], ids=lambda one: one.name)
def test_a_plugin_is_light_to_import(module):
    """Its own module holds hooks: it imports luthier, and of the rest only what Python brings."""
    tops = {name.split(".")[0] for name in module.imports(lazy=False)}
    assert tops <= {"luthier", "omegaconf", "__future__"} | set(sys.stdlib_module_names)
