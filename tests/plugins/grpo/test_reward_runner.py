"""A reward that raises, hangs or dies: a missing score, never a reward of 0, and the run continues."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.errors import PluginError
from luthier_reward.reward_runner import RewardRequest, RewardRunner
from tests.plugins.grpo.faulty_rewards import Once, faulty


@pytest.fixture
def runner():
    made = RewardRunner(faulty, timeout=2.0, retries=0, quarantine=2, max_faults=1.0)
    yield made
    made.close()


def request(*answers: str, key: str = "one") -> RewardRequest:
    return RewardRequest([{"role": "user", "content": "?"}], answers, {"tags": {"a"}}, key)


def test_scores_come_from_another_process(runner):
    assert [each.scores for each in runner([request("1", "0.5"), request("2", key="two")])] == [[1.0, 0.5], [2.0]]
    assert runner.counts == {"answers": 3, "faults": 0}
    assert runner.warnings() == []


@pytest.mark.parametrize("fault", ["raise", "die", "nothing", "word"])
def test_a_fault_costs_its_own_answer_only(runner, fault):
    assert runner([request("1", fault, "0")])[0].scores == [1.0, None, 0.0]
    assert runner.counts["faults"] == 1
    assert runner([request("3", key="two")])[0].scores == [3.0]


def test_a_reward_that_hangs_is_killed_in_time(runner):
    runner([request("1")])
    began = time.monotonic()
    assert runner([request("hang", "1", key="two")])[0].scores == [None, 1.0]
    assert time.monotonic() - began < 50
    assert "no score within 2 s" in runner.warnings()[0]


def test_a_call_that_fails_is_retried(tmp_path):
    made = RewardRunner(Once(tmp_path / "called"), retries=1)
    try:
        assert made([request("a", "b")])[0].scores == [1.0, 1.0]
        assert made.counts["faults"] == 0
    finally:
        made.close()


def test_an_example_that_fails_again_and_again_is_not_scored_any_more(runner):
    for _ in range(2):
        assert runner([request("raise", "1")])[0].scores == [None, 1.0]
    assert runner([request("1", "1")])[0].scores == [None, None]
    assert runner([request("1", key="two")])[0].scores == [1.0]
    assert "1 examples are quarantined" in runner.warnings()[0]
    again = RewardRunner(faulty)
    again.load_state_dict(runner.state_dict())
    assert again([request("1")])[0].scores == [None]


def test_a_run_ends_past_a_share_of_faults_and_not_before():
    made = RewardRunner(faulty, retries=0, quarantine=99, max_faults=0.1)
    try:
        made([request(*["1"] * 27, *["raise"] * 3, key="few")])  # of 30 answers: too few to judge by
        with pytest.raises(PluginError, match="failed for 6 of 33 answers; the last fault: RuntimeError") as raised:
            made([request("raise", "raise", "raise")])
        assert raised.value.resumable
    finally:
        made.close()


def test_several_prompts_are_scored_at_once():
    made = RewardRunner(faulty, timeout=10, workers=2)
    try:
        found = made([request(str(number), key=str(number)) for number in range(5)])
        assert [each.scores[0] for each in found] == [0, 1, 2, 3, 4]
    finally:
        made.close()


def test_a_reward_that_cannot_be_sent_to_a_process_says_so():
    with pytest.raises(PluginError, match="cannot be computed in a separate process"):
        RewardRunner(lambda prompt, answers, example: [1.0] * len(answers))([request("1")])


def test_a_reward_that_holds_a_network_is_computed_in_this_process():
    class Local:
        in_process = True

        def __call__(self, prompt, answers, example):
            return [math.sqrt(float(answer)) for answer in answers]

    made = RewardRunner(Local(), retries=0, max_faults=1.0)
    assert made([request("4", "-1")])[0].scores == [2.0, None]


class Failing:
    """A reward that fails in the calls whose number is in `failing`, as `how` says."""

    in_process = True

    def __init__(self, failing, how):
        self.failing, self.how, self.calls, self.failed = failing, how, 0, 0

    def __call__(self, prompt, answers, example):
        self.calls += 1
        if self.calls not in self.failing or (self.how == "one score" and len(answers) == 1):
            return [1.0] * len(answers)
        self.failed += 1
        if self.how == "raises":
            raise RuntimeError("down")
        return [1.0] if self.how == "one score" else [math.nan] * len(answers)


@settings(max_examples=60, deadline=None)
@given(
    failing=st.sets(st.integers(1, 12), max_size=6),
    how=st.sampled_from(["raises", "one score", "nan"]),
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    retries=st.integers(0, 2),
)
def test_no_failed_call_is_hidden_by_the_scores_that_a_repetition_gave(failing, how, sizes, retries):
    reward = Failing(failing, how)
    made = RewardRunner(reward, retries=retries, max_faults=1.0)
    results = made([request(*["a"] * size, key=str(number)) for number, size in enumerate(sizes)])
    assert [len(result.scores) for result in results] == sizes
    assert made.counts["failed_calls"] == reward.failed
    said = " ".join(made.warnings())
    assert bool(said) == bool(reward.failed)
    if reward.failed:
        assert f"{reward.failed} failed calls" in made.facts()["Reward"]
        assert {"raises": "down", "one score": "and returned [1.0]", "nan": "and returned [nan"}[how] in said


def test_one_score_for_four_answers_is_reported():
    made = RewardRunner(Failing({1, 2}, "one score"), retries=1)
    assert made([request("a", "b", "c", "d")])[0].scores == [1.0] * 4
    (warning,) = made.warnings()
    assert warning.startswith(
        "The reward failed for the answers to 1 prompts and was computed again, for 4 answers one by one. "
        "The last fault: Failing ("
    )
    assert warning.endswith(") must return a finite number or None for each of 4 answers, and returned [1.0]")
