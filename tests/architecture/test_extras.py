"""An extra is what some parts alone need: they say so, it brings what they say, and nothing else imports it."""

from __future__ import annotations

import pytest

from luthier.config.catalog import Catalog
from luthier.config.option_file import Option
from luthier.config.signatures import signature
from luthier.plugins.registry import Plugins
from tests.architecture.sources import modules
from tests.hidden import NOT_FOR_USERS, PROJECT, distributions, extras, modules_of, of_extras

IMPORTED_WHEN_NEEDED = {"luthier_prompting.dspy_search.program", "luthier_harness.model"}
"""Modules that a part imports after its packages were looked for."""


def said_by_parts() -> dict[str, dict[str, str]]:
    catalog = Catalog.of(Plugins())
    targets = {
        Option.read(answer, catalog).target
        for answer in catalog
        if answer.question not in {"recipe", "pipeline", "advice"}
    }
    return {target: needs for target in filter(None, targets) if (needs := signature(target).needs)}


def test_what_parts_need_is_in_the_extra_that_they_name():
    said = said_by_parts()
    assert len(said) >= 12
    for target, needs in said.items():
        for package, wanted in needs.items():
            extra = wanted.removeprefix("luthier[").removesuffix("]")
            owners = [one for one in extras()[extra] if package in modules_of(one)]
            assert owners, f"{target} needs {package}, which luthier[{extra}] does not bring"


def test_the_core_depends_on_nothing_of_an_extra():
    core = distributions(PROJECT["dependencies"])
    for extra, brought in extras().items():
        assert not brought & core, extra


def test_all_has_every_extra_of_users():
    (everything,) = PROJECT["optional-dependencies"]["all"]
    named = set(everything.removeprefix("luthier[").removesuffix("]").split(","))
    assert named == set(PROJECT["optional-dependencies"]) - NOT_FOR_USERS


def test_the_compromised_releases_of_litellm_are_excluded():
    (line,) = [line for line in PROJECT["optional-dependencies"]["dspy"] if line.startswith("litellm")]
    assert set(line.removeprefix("litellm").split(",")) == {"!=1.82.7", "!=1.82.8"}


@pytest.mark.parametrize("module", sorted(set(modules()) - IMPORTED_WHEN_NEEDED))
def test_no_module_imports_an_extra_at_its_top(module):
    assert not {name.split(".")[0] for name in modules()[module].imports(lazy=False)} & of_extras()
