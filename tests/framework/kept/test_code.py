"""Every cache notices a change of whatever its content rests on, wherever the line stands, and no other change."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from luthier.cli.session import catalog
from luthier.config.compose import Composer
from luthier.contracts.trust import Trust
from luthier.plugins.registry import Plugins
from luthier.workflows.cached_runs.cached_run import CachedRun
from luthier.workflows.parts import assemble
from tests.command import luthier
from tests.framework.cli.conftest import session_cache  # noqa: F401
from tests.framework.kept.strangers_package import FILES
from tests.sources import forget_sources

WORDS = ("method=scribe", "method/weighting=early", "data=jsonl", "data.file=mine.jsonl", "data.splits.test=0",
         "model=tiny", "model.chat_template=mine.jinja", "batch.length=256", "trainer.precision=fp32")  # fmt: skip
PLACES = {
    "the class itself": ("scribe/method.py", "self.shouted(example)", "example"),
    "a base class": ("scribe/bases.py", '"content":', '"content": "so " +'),
    "a helper module": ("scribe/words.py", "+ MARK", "+ MARK * 2"),
    "a module beside the package": ("letters.py", "upper()", "title()"),
    "data of the package": ("scribe/mark.txt", "!", "?"),
    "data in a folder that the code names": ("scribe/lists/end.txt", "so", "so on"),
    "a module that is imported by its name": ("marks.py", "read()", "read() * 2"),
    "a file beside a module of no package": ("closing.txt", "\n", "\n\n"),
    "data of a package that the code opens": ("tables/begin.txt", "said", "told"),
    "a nested part": ("scribe/weighting.py", "** (only", "** 2 * (only"),
    "an option file": ("scribe/recipes/method/weighting/early.yaml", "0.5", "0.25"),
    "the chat template": ("mine.jinja", "<|im_end|>", "<|im_end|><|im_end|>"),
}


@pytest.fixture
def package(tmp_path, monkeypatch, session_cache):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LUTHIER_CACHE", str(session_cache))
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    forget()


def forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in {"scribe", "letters", "marks", "tables"}]:
        del sys.modules[name]


def keys(*more: str) -> tuple[str, str]:
    """The key of a kept run and that of its encoded training data, as a new process finds them."""
    forget_sources()
    plugins = Plugins(extra=["scribe"])
    run = CachedRun.compose(Composer(plugins, catalog(plugins)), [*WORDS, *more])
    blocks = assemble(run.composition.config, Trust()).data.blocks("train")
    assert blocks is not None
    return run.key, blocks.folder.name


@pytest.mark.parametrize("place", PLACES)
def test_a_line_that_changes_what_is_learned_changes_the_key_of_the_run_and_of_its_data(package: Path, place: str):
    before = keys()
    file, old, new = PLACES[place]
    text = (package / file).read_text()
    assert old in text
    (package / file).write_text(text.replace(old, new))
    run, data = keys()
    assert run != before[0]
    assert data != before[1]


def test_a_part_that_is_a_function_counts_as_its_code_does(package: Path):
    before = keys("method/weighting=half")
    file = package / "scribe" / "weighting.py"
    file.write_text(file.read_text().replace("/ 2", "/ 3"))
    assert all(one != other for one, other in zip(before, keys("method/weighting=half"), strict=True))


def test_two_files_of_one_name_that_change_places_change_the_keys(package: Path):
    before = keys()
    one, other = package / "scribe" / "lists" / "end.txt", package / "scribe" / "lists" / "begin" / "end.txt"
    first, second = one.read_text(), other.read_text()
    one.write_text(second)
    other.write_text(first)
    assert all(each != was for each, was in zip(keys(), before, strict=True))


def test_a_log_that_the_code_writes_beside_itself_changes_no_key(package: Path):
    before = keys()
    (package / "scribe" / "scribe.log").write_text("asked\n")
    assert keys() == before


def test_a_remark_in_an_unrelated_package_changes_no_key(package: Path):
    before = keys()
    (package / "elsewhere" / "thing.py").write_text("# Another remark.\nTHING = 1\n")
    assert keys() == before


def test_the_same_package_at_another_place_has_the_same_keys(package: Path, monkeypatch):
    before = keys()
    shutil.copytree(package, package / "moved")
    monkeypatch.chdir(package / "moved")
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one != str(package)])
    forget()
    assert keys() == before


def test_a_nested_part_that_is_chosen_anew_trains_other_rows(package: Path, session_cache):  # noqa: F811
    def trained(*words: str) -> float:
        ended = luthier("-p", "scribe", *WORDS, *words, "stages=[fit]", "trainer.max_steps=1", cwd=package,
                        LUTHIER_CACHE=str(session_cache))  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        step: dict[str, float] = json.loads((package / "runs" / words[0][5:] / "metrics.jsonl").read_text())
        return step["loss"]

    uniform = trained("name=uniform", "method/weighting=uniform")
    assert abs(uniform - trained("name=early", "method.weighting.decay=0.1")) > 1e-4
