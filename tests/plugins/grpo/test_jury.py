"""A reward that raises, hangs or dies: no reward at all, never a reward of 0, and the run goes on."""

from __future__ import annotations

import math
import time

import pytest

from luthier.errors import PluginError
from luthier_reward.reward_runner import Asked, RewardRunner
from tests.plugins.grpo.faulty_rewards import Once, faulty


@pytest.fixture
def jury():
    made = RewardRunner(faulty, timeout=2.0, retries=0, quarantine=2, most=1.0)
    yield made
    made.close()


def asked(*answers: str, key: str = "one") -> Asked:
    return Asked([{"role": "user", "content": "?"}], answers, {"tags": {"a"}}, key)


def test_scores_come_from_another_process(jury):
    assert [each.scores for each in jury([asked("1", "0.5"), asked("2", key="two")])] == [[1.0, 0.5], [2.0]]
    assert jury.counts == {"answers": 3, "faults": 0}
    assert jury.warnings() == []


@pytest.mark.parametrize("fault", ["raise", "die", "nothing", "word"])
def test_a_fault_costs_its_own_answer_only(jury, fault):
    assert jury([asked("1", fault, "0")])[0].scores == [1.0, None, 0.0]
    assert jury.counts["faults"] == 1
    assert jury([asked("3", key="two")])[0].scores == [3.0]


def test_a_reward_that_hangs_is_killed_in_time(jury):
    jury([asked("1")])
    began = time.monotonic()
    assert jury([asked("hang", "1", key="two")])[0].scores == [None, 1.0]
    assert time.monotonic() - began < 50
    assert "no score within 2 s" in jury.warnings()[0]


def test_a_fault_is_tried_again(tmp_path):
    made = RewardRunner(Once(tmp_path / "asked"), retries=1)
    try:
        assert made([asked("a", "b")])[0].scores == [1.0, 1.0]
        assert made.counts["faults"] == 0
    finally:
        made.close()


def test_an_example_that_fails_again_and_again_is_asked_no_more(jury):
    for _ in range(2):
        assert jury([asked("raise", "1")])[0].scores == [None, 1.0]
    assert jury([asked("1", "1")])[0].scores == [None, None]
    assert jury([asked("1", key="two")])[0].scores == [1.0]
    assert "1 examples were asked no more" in jury.warnings()[0]
    again = RewardRunner(faulty)
    again.load_state_dict(jury.state_dict())
    assert again([asked("1")])[0].scores == [None]


def test_a_run_ends_past_a_share_of_faults_and_not_before():
    made = RewardRunner(faulty, retries=0, quarantine=99, most=0.1)
    try:
        made([asked(*["1"] * 27, *["raise"] * 3, key="few")])  # of 30 answers: too few to judge by
        with pytest.raises(PluginError, match="failed for 6 of 33 answers") as raised:
            made([asked("raise", "raise", "raise")])
        assert raised.value.resumable
    finally:
        made.close()


def test_several_prompts_are_judged_at_once():
    made = RewardRunner(faulty, timeout=10, workers=2)
    try:
        found = made([asked(str(number), key=str(number)) for number in range(5)])
        assert [each.scores[0] for each in found] == [0, 1, 2, 3, 4]
    finally:
        made.close()


def test_a_reward_that_cannot_be_sent_to_a_process_says_so():
    with pytest.raises(PluginError, match="cannot be asked in a process of its own"):
        RewardRunner(lambda prompt, answers, example: [1.0] * len(answers))([asked("1")])


def test_a_reward_that_holds_a_network_is_asked_here():
    class Here:
        in_process = True

        def __call__(self, prompt, answers, example):
            return [math.sqrt(float(answer)) for answer in answers]

    made = RewardRunner(Here(), retries=0, most=1.0)
    assert made([asked("4", "-1")])[0].scores == [2.0, None]
