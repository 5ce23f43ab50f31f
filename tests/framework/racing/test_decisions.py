"""Who is stopped in a race and how it ends; thousands of simulated races are decided wrongly less than they may be."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from luthier.workflows.racing.decisions import Standing, Stop
from luthier.workflows.racing.race import rounds
from luthier.workflows.racing.running import detectable, power

MARGIN = 0.1


def answers(means, rng, examples, likeness=0.6):
    """Right or wrong answers of contenders, [contenders, examples]: what is hard is hard for all."""
    hidden = np.sqrt(likeness) * rng.standard_normal(examples)
    own = np.sqrt(1 - likeness) * rng.standard_normal((len(means), examples))
    limits = np.array([NormalDist().inv_cdf(mean) for mean in means])
    return (hidden + own < limits[:, None]).astype(np.float64)


def raced(means, rng, examples, margin=MARGIN):
    """The standing at the end, and whether anything that it says is wrong of contenders with these means."""
    scores = answers(means, rng, examples)
    standing = Standing([str(number) for number in range(len(means))], margin)
    for size in rounds(examples):
        standing.look({name: scores[int(name), :size] for name in standing.running})
        if standing.is_over:
            break
    wrong = any(
        stop.why == "worse" and means[int(name)] >= means[int(stop.than)] for name, stop in standing.stopped.items()
    )
    if standing.is_over:
        last = means[int(standing.running[0])]
        wrong |= max(means) - last > margin or (standing.end == "decided" and last < max(means))
    return standing, wrong


@pytest.mark.parametrize(
    ("means", "examples"),
    [
        ([0.7, 0.7], 300),
        ([0.9, 0.9, 0.9, 0.7, 0.65, 0.6], 300),
        ([0.8, 0.8, 0.8, 0.8, 0.78, 0.75, 0.7, 0.65, 0.6, 0.5], 128),
    ],
    ids=["two equal ones", "six of which three are equal", "ten"],
)
def test_no_more_than_one_race_in_twenty_is_decided_wrongly(means, examples):
    rng = np.random.default_rng(0)
    assert sum(raced(means, rng, examples)[1] for _ in range(2000)) <= 0.05 * 2000


def test_of_six_the_three_equal_ones_are_not_distinguishable_and_the_others_worse():
    rng = np.random.default_rng(1)
    ended = [raced([0.9, 0.9, 0.9, 0.6, 0.5, 0.4], rng, 600)[0] for _ in range(50)]
    right = [
        one for one in ended
        if one.end == "not distinguishable" and {*one.equals, *one.running} == {"0", "1", "2"}
    ]  # fmt: skip
    assert len(right) >= 45


def test_a_clear_winner_is_found_with_a_part_of_the_examples():
    rng = np.random.default_rng(2)
    ended = [raced([0.9, 0.5, 0.4], rng, 1024)[0] for _ in range(50)]
    assert all(one.end == "decided" and one.running == ["0"] for one in ended)
    assert max(stop.examples for one in ended for stop in one.stopped.values()) <= 256


def test_equal_answers_are_ties_and_too_few_examples_decide_nothing():
    same = np.ones(400)
    standing = Standing(["a", "b"], 0.05)
    standing.look({"a": same, "b": same.copy()})
    assert (standing.end, standing.champion) == ("not distinguishable", standing.running[0])
    few = Standing(["a", "b"], 0.05)
    few.look({"a": np.ones(1), "b": np.zeros(1)})
    assert (few.end, few.running) == ("out of budget", ["a", "b"])


def test_who_beats_the_champion_takes_its_place():
    standing = Standing(["a", "b", "c"], 0.05, stopped={"b": Stop("no better", "a", 32)}, champion="a")
    standing.look({"a": np.zeros(64), "c": np.ones(64)})
    assert standing.stopped["a"] == Stop("worse", "c", 64)
    assert (standing.champion, standing.running, standing.end) == ("c", ["c"], "not distinguishable")


def test_who_lost_to_one_that_failed_is_in_the_race_again():
    standing = Standing(["a", "b", "c"], 0.05, stopped={"b": Stop("worse", "a", 32)})
    assert standing.drop("a") == ["b"]
    assert standing.running == ["b", "c"]


def test_examples_without_a_value_are_left_out_of_every_pair():
    rng = np.random.default_rng(3)
    good, bad = answers([0.9, 0.5], rng, 256)
    good[::3] = np.nan
    standing = Standing(["good", "bad"], 0.05)
    standing.look({"good": good, "bad": bad})
    assert standing.stopped["bad"].why == "worse"


def test_what_can_be_decided_is_said_before_the_start():
    assert detectable(64, 0.001) > detectable(1024, 0.001) > 0
    assert "too few" in power(4, 0.001)
    assert "can be decided with 1024" in power(1024, 0.001)
    assert rounds(1) == [1]
    assert rounds(32) == [32]
    assert rounds(100) == [32, 64, 100]
