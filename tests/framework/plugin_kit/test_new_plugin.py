"""`luthier new-plugin` writes a package that its author can publish as it is, or says why not."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest
import yaml

from luthier.errors import RecipeError
from luthier.testing import kinds as suites
from luthier.workflows.new_plugin.kinds import KINDS
from luthier.workflows.new_plugin.names import Names
from luthier.workflows.new_plugin.writing import files

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def test_each_kind_with_a_suite_has_a_template_and_the_same_question():
    assert {kind.name: kind.question for kind in KINDS} == {kind.name: kind.question for kind in suites.KINDS}


@pytest.mark.parametrize("kind", suites.KINDS, ids=lambda kind: kind.name)
def test_the_tests_of_each_kind_inherit_its_suite(kind, generated):
    text = (generated / "tests" / f"test_{kind.name}.py").read_text(encoding="utf-8")
    assert f"from luthier.testing.{kind.module} import {kind.suite_class}\n" in text
    assert f"({kind.suite_class}):" in text


def test_several_kinds_are_written_at_once(luthier, here):
    end = luthier(
        "new-plugin", "acme-luthier", "--kind", "reward", "--kind", "verb", "--kind", "report-section", "--json"
    )
    assert end.code == 0, end.err
    assert {file.split("/", 1)[1] for file in end.record["files"]} == {
        "pyproject.toml", "README.md", ".gitignore", ".github/workflows/test.yml",
        "src/acme_luthier/__init__.py", "src/acme_luthier/py.typed", "src/acme_luthier/recipes/__init__.py",
        "src/acme_luthier/reward.py", "src/acme_luthier/recipes/method/reward/acme.yaml", "tests/test_reward.py",
        "src/acme_luthier/verb.py", "tests/test_verb.py",
        "src/acme_luthier/report_section.py", "tests/test_report_section.py",
    }  # fmt: skip
    assert all((here / file).is_file() for file in end.record["files"])
    project = tomllib.loads((here / "acme-luthier" / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["luthier"] == {"acme": "acme_luthier"}
    assert project["project"]["dependencies"][0].startswith("luthier>=")


def test_what_is_written_is_in_style(generated):
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "."], cwd=generated, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_an_editable_installation_needs_nothing_but_the_backend(generated, tmp_path):
    code = (
        "import sys; sys.modules['editables'] = None  # as where only hatchling is installed\n"
        "from hatchling.build import build_editable\n"
        "build_editable(sys.argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=generated, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        (link,) = [name for name in wheel.namelist() if name.endswith(".pth")]
        assert wheel.read(link).decode().strip() == str(generated / "src")


@pytest.mark.exhaustive
def test_what_is_written_is_typed(generated):
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=generated, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_for_the_forge_is_yaml(generated):
    workflow = yaml.safe_load((generated / ".github" / "workflows" / "test.yml").read_text())
    commands = [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step]
    assert "luthier plugin-check acme --json" in commands
    assert workflow["jobs"]["test"]["steps"][1]["with"]["python-version"] == "${{ matrix.python }}"


def test_no_name_of_a_template_is_left():
    written = dict(files(Names.of("acme"), KINDS))
    assert len(written) > 2 * len(KINDS)
    left = [place for place, text in written.items() if "$" in text.replace("${{ matrix", "")]
    assert left == []


REFUSED = {
    "a distribution has no such name": (("acme!", "--kind", "reward"), "'acme!' is not the name of a distribution"),
    "a package has no such name": (("3d", "--kind", "reward"), "Python cannot import a package '3d'"),
    "a module of Python": (("json", "--kind", "reward"), "Python imports another module as 'json' here"),
    "a distribution that is installed": (("hydra-core", "--kind", "reward"), "a distribution hydra-core"),
    "a plugin that is installed": (("sft-luthier", "--kind", "reward"), "is a plugin called 'sft'"),
    "an answer that is installed": (("length", "--kind", "reward"), "method/reward=length is an answer of reward"),
    "a name that is a value": (("nan", "--kind", "reward"), "An answer 'nan', as those of 'nan' would be called"),
    "a name that leaves a number": (("luthier-1e5", "--kind", "reward"), "An answer '1e5', as those of 'luthier-1e5'"),
    "a name that YAML reads": (("on", "--kind", "reward"), "cannot be chosen: the command line and"),
    "the folder of its tests": (("Tests", "--kind", "reward"), "its own tests lie in a folder tests"),
    "an unknown kind": (
        ("acme", "--kind", "rewrad"),
        "There is no kind of part 'rewrad'. Did you mean reward or reader?",
    ),
    "no kind": (("acme",), "luthier new-plugin needs a --kind"),
    "no name": (("--kind", "reward"), "luthier new-plugin needs a NAME"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_cannot_be_written_is_refused_in_a_sentence(why, luthier, here):
    words, sentence = REFUSED[why]
    end = luthier("new-plugin", *words)
    assert end.code == 2
    assert sentence in end.err
    assert list(here.iterdir()) == []


def test_a_folder_that_is_there_is_left_as_it_is(luthier, here):
    (here / "acme").mkdir()
    end = luthier("new-plugin", "acme", "--kind", "reward")
    assert (end.code, list((here / "acme").iterdir())) == (2, [])
    assert "acme is there already" in end.err


@pytest.mark.parametrize(
    ("name", "package", "answer"),
    [
        ("acme-luthier", "acme_luthier", "acme"),
        ("luthier_Shorter.Answers", "luthier_shorter_answers", "shorter_answers"),
        ("luthier-luthier", "luthier_luthier", "luthier_luthier"),
    ],
)
def test_answers_are_called_as_the_distribution_without_luthier(name, package, answer):
    assert Names.of(name) == Names(name, package, answer)


def test_a_word_of_python_is_no_package():
    with pytest.raises(RecipeError, match="cannot import"):
        Names.of("class")


def test_the_kinds_are_listed_and_completed(luthier, monkeypatch):
    listed = luthier("new-plugin", "--list", "--json")
    assert [one["kind"] for one in listed.record] == [kind.name for kind in KINDS]
    line = "luthier new-plugin acme --kind re"
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    assert luthier("-sc", "query=bash").out.split() == ["reader", "report_section", "reward"]


def test_a_distribution_that_is_not_installed_cannot_be_checked(luthier):
    end = luthier("plugin-check", "luthierr")
    assert end.code == 2
    assert "No distribution 'luthierr' is installed. Did you mean luthier?" in end.err


def test_a_suite_that_fails_shows_what_it_compared(tmp_path):
    (tmp_path / "test_mine.py").write_text(
        "from luthier.testing.verb import VerbContract\n\n\n"
        "class TestMine(VerbContract):\n    plugin, verb = 'luthier_distillation', 'cache-teacher'\n"
        "    arguments, exit_code = ('--none',), 0\n"
    )
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "exit_code", "test_mine.py"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert "AssertionError: assert 2 == 0" in done.stdout
