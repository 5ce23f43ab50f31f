"""Whatever a person can say to luthier, or luthier to a person, has words in the documentation."""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import json
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pluggy
import pytest
import yaml

from luthier.cli.verbs import BUILT_IN, built_in
from luthier.config import signatures
from luthier.config.catalog import Catalog, CatalogAnswer
from luthier.config.option_file import Option
from luthier.errors import LuthierError
from luthier.errors.exit_codes import MEANINGS
from luthier.plugins import hookspecs
from luthier.plugins.registry import Plugins
from tests.docs.doc_pages import DOCS, ROOT, fences, pages
from tests.docs.doc_session import Session

REFERENCE = DOCS / "reference"
OURS = Plugins(only=[entry.name for entry in metadata.entry_points(group="luthier") if entry.dist.name == "luthier"])
CATALOG = Catalog.of(OURS)
HOOKS = {name: each for name, each in vars(hookspecs).items() if hasattr(each, "luthier_spec")}
FIRST_PARTY = [answer for answer in CATALOG if answer.is_part]


def text(path: str) -> str:
    return (REFERENCE / path).read_text(encoding="utf-8")


def sections(path: Path) -> dict[str, str]:
    """Heading -> what stands below it."""
    parts = re.split(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("answer", FIRST_PARTY, ids=str)
def test_an_answer_says_what_it_is_and_has_a_section(answer: CatalogAnswer):
    assert answer.headline, f"the first line of {answer.file} is no comment"
    page = REFERENCE / "questions" / f"{answer.question.partition('/')[0]}.md"
    assert answer.headline in sections(page)[f"`{answer}`"]


@pytest.mark.parametrize("answer", FIRST_PARTY, ids=str)
def test_every_setting_of_an_answer_has_words(answer: CatalogAnswer):
    assert not [*wordless(Option.read(answer, CATALOG))], "neither a comment nor the docstring speaks of these"


def test_every_setting_of_the_batch_has_words():
    assert not [*wordless(Option.inside(CATALOG.answers[".", "config"], "batch"))]


def wordless(option: Option) -> Iterator[str]:
    """The settings that no comment of an option file and no docstring speaks of."""
    signature, asked = signatures.signature(option.target), {key.partition(".")[0] for key in option.nested}
    for name in signature.settings:
        said = option.written.get(name)
        if not (said and said.comment) and name not in asked and not re.search(rf"\b{name}\b", signature.doc):
            yield name


def test_every_key_of_a_recipe_has_words():
    config = yaml.safe_load(CATALOG.answers[".", "config"].text)
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| (.+) \|$", text("recipe-keys.md"), re.MULTILINE))
    assert config.keys() - {"defaults", "hydra", "batch"} == rows.keys()
    assert all(rows.values())


def test_every_shipped_recipe_says_what_it_is_for():
    for answer in CATALOG:
        if answer.question in {"recipe", "pipeline"}:
            assert answer.headline in sections(REFERENCE / "recipes.md")[f"`{answer}`"]


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_has_a_section_with_its_arguments_and_an_example_that_is_one(hook: str):
    headings = [heading for heading in sections(REFERENCE / "hooks.md") if heading.startswith(f"`{hook}(")]
    assert len(headings) == 1
    assert [*inspect.signature(HOOKS[hook]).parameters] == re.findall(r"(\w+):", headings[0].partition(")")[0])
    plugin = load(DOCS / "generate" / "hooks" / f"{hook}.py")
    manager = pluggy.PluginManager("luthier")
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    manager.check_pending()
    assert hook in {caller.name for caller in manager.get_hookcallers(plugin) or ()}


def load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("verb", BUILT_IN)
def test_a_verb_has_a_section_and_every_argument_has_words(verb: str):
    assert any(re.match(rf"`luthier {verb}\b", heading) for heading in sections(REFERENCE / "verbs.md"))
    parser = argparse.ArgumentParser(add_help=False)
    built_in(verb).declare(parser)
    for action in parser._actions:
        assert action.help, f"luthier {verb} {action.option_strings or action.dest} has no help"


@pytest.mark.parametrize("code", MEANINGS)
def test_an_exit_code_has_a_section_and_a_way_out(code: int):
    assert any(re.fullmatch(rf"{code}( \w+)?", heading) for heading in sections(REFERENCE / "exit-codes.md"))
    assert sections(DOCS / "how-to" / "troubleshooting.md")[f"Exit code {code}"].strip()


def test_every_exit_code_of_the_code_has_a_meaning():
    kinds = [LuthierError, *LuthierError.__subclasses__()]
    assert {kind.code for kind in kinds if kind.__module__ == "luthier.errors"} <= MEANINGS.keys()


def test_every_key_of_an_error_has_words():
    rows = re.findall(r"^\| `(\w+)` \| \S", sections(REFERENCE / "exit-codes.md")["Errors as JSON"], re.MULTILINE)
    assert rows == [*LuthierError("").as_json()]
    (shown,) = [fence for fence in fences(REFERENCE / "exit-codes.md") if fence.language == "json"]
    assert [*json.loads(shown.text)] == rows


def test_every_environment_variable_that_is_read_has_words():
    own = {"COMP_LINE", "COMP_POINT", "LUTHIER_PARENT"}  # between luthier's own processes, and the shell's
    said = text("environment.md")
    for file in [*(ROOT / "framework").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]:
        found = re.findall(r"environ(?:\.get\(|\.pop\(|\[)\"([A-Z_]+)\"", file.read_text(encoding="utf-8"))
        for name in {*found} - own:
            assert f"`{name}" in said, f"{file} reads {name}"


@pytest.mark.usefixtures("alone")
def test_every_file_of_a_run_has_words(tmp_path: Path):
    session = Session(tmp_path)
    for adaptation in ("full", "lora"):
        code, said = session.run(
            f"luthier debug=tiny adaptation={adaptation} evaluation.general_examples=0 evaluation.samples=0 "
            f"name={adaptation}"
        )
        assert code == 0, said
    rows = "\n".join(re.findall(r"^\| (.+?) \|", text("run-folder.md"), re.MULTILINE))
    for file in (tmp_path / "runs").rglob("*"):
        if file.is_file():
            assert f"`{file.name}`" in rows or file.name in text("run-folder.md"), f"{file} is not in run-folder.md"


def test_the_readme_asks_every_question_and_names_only_answers_that_exist():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[`(\w+)`\]\([^)]+\) \| .+? \| (.+) \|$", readme, re.MULTILINE)
    assert [question for question, _ in rows] == [*yaml_questions()]
    for question, answers in rows:
        assert {*re.findall(r"`(\w+)`", answers)} <= {*CATALOG.names(question)}


def yaml_questions() -> Iterator[str]:
    for entry in yaml.safe_load(CATALOG.answers[".", "config"].text)["defaults"]:
        if isinstance(entry, dict) and next(iter(entry)) not in {"recipe", "debug"}:
            yield from entry


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere_and_nothing_is_fetched(page: Path):
    said = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for image, target in re.findall(r"(!?)\[[^\]]*\]\(([^)\s]+)\)", said):
        if target.startswith("http"):
            assert not image, f"{page} fetches {target}"
        elif path := target.partition("#")[0]:
            assert (page.parent / path).exists(), f"{page} links to {target}"
    assert "<script" not in said
