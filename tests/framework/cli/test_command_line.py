"""What a command line says, word by word."""

from __future__ import annotations

import pytest

from luthier.config import command_line
from luthier.config.catalog import Catalog
from luthier.errors import RecipeError
from luthier.plugins.registry import Plugins

CATALOG = Catalog.of(Plugins(only=None))


def jobs(*words: str) -> list[list[str]]:
    return command_line.first_jobs(command_line.read(words, CATALOG))


def test_a_plain_line_is_one_job():
    assert jobs("model=tiny", "+a.b=1", "~c") == [["model=tiny", "+a.b=1", "~c"]]


def test_every_listed_value_is_tried_once_and_not_every_combination():
    found = jobs("a=1,2,3", "b=x,y")
    assert found == [["a=1", "b=x"], ["a=2", "b=x"], ["a=3", "b=x"], ["a=1", "b=y"]]


def test_of_an_interval_the_beginning_stands_for_all():
    assert jobs("lr=interval(0.1,0.2)") == [["lr=0.1"]]


def test_a_range_lists_its_numbers():
    assert jobs("n=range(1,4)") == [["n=1"], ["n=2"], ["n=3"]]


def test_a_sweep_without_end_is_counted_and_refused(monkeypatch):
    words = command_line.read(["n=range(0,1000000000)", "a=1,2", "b=range(0,1,0.25)"], CATALOG)
    assert command_line.jobs_of(words) == 8 * 10**9
    with pytest.raises(RecipeError, match="8,000,000,000 jobs, and at most 1,000"):
        command_line.refuse_long_sweep(words)
    assert len(command_line.first_jobs(words)) == 1 + 1 + 1 + 3, "the ends of a long range are tried"
    monkeypatch.setenv("LUTHIER_MAX_JOBS", str(8 * 10**9))
    command_line.refuse_long_sweep(words)


def test_a_sweeper_that_searches_has_its_own_number_of_trials():
    command_line.refuse_long_sweep(command_line.read(["n=range(0,1000000000)", "hydra/sweeper=optuna"]))


def test_a_pattern_stands_for_the_answers_that_it_fits():
    assert jobs("optimizer=glob(adam*)") == [["optimizer=adamw"], ["optimizer=adamw_8bit"]]


@pytest.mark.parametrize("text", ["a", "a='b", "a=[1", "=1", "a b=1"])
def test_what_cannot_be_read_is_named(text):
    with pytest.raises(RecipeError) as error:
        command_line.read([text])
    assert error.value.where == text


def test_the_path_of_a_nested_question_is_that_of_its_setting():
    (word,) = command_line.read(["optimizer/schedule=cosine"])
    assert (word.key, word.path, word.values) == ("optimizer/schedule", "optimizer.schedule", ("cosine",))
