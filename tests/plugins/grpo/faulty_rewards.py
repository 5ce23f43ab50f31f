"""Rewards that go wrong when an answer tells them to."""

from __future__ import annotations

import os
import time


def faulty(prompt, answers, example):
    """The number that an answer is; one that is none does what it says."""
    return [_score(answer) for answer in answers]


def _score(answer):
    if answer == "raise":
        raise RuntimeError("no idea")
    if answer == "hang":
        time.sleep(60)
    if answer == "die":
        os._exit(9)
    if answer == "nothing":
        return None
    if answer == "word":
        return "word"
    return float(answer)


class Once:
    """Fails when it is asked for the first time, as the file that it leaves behind says."""

    def __init__(self, file):
        self.file = str(file)

    def __call__(self, prompt, answers, example):
        if not os.path.exists(self.file):
            open(self.file, "w").close()
            raise RuntimeError("not yet")
        return [1.0] * len(answers)


def length_or_fault(prompt, answers, example):
    """The length of an answer; every other example is a fault."""
    if len(prompt[-1]["content"]) % 2 == 0:
        raise RuntimeError("this one never works")
    return [float(len(answer) % 5) for answer in answers]


def always_fails(prompt, answers, example):
    raise RuntimeError("out of order")


class Forgetful:
    """Scores an answer the less the more often it was given, and does not say what it has seen."""

    def __init__(self):
        self.seen = []

    def __call__(self, prompt, answers, example):
        self.seen += answers
        return [1 / self.seen.count(answer) for answer in answers]


class Novelty(Forgetful):
    """Scores alike, and says what it has seen."""

    def state_dict(self):
        return {"seen": list(self.seen)}

    def load_state_dict(self, state):
        self.seen = list(state["seen"])


class Breaking(Novelty):
    """Fails in the middle of the answers."""

    def __call__(self, prompt, answers, example):
        if "break" in answers:
            super().__call__(prompt, answers[: answers.index("break")], example)
            raise ValueError("break")
        return super().__call__(prompt, answers, example)


class Unwritable(Novelty):
    """Has a state that JSON would change."""

    def state_dict(self):
        return {1: "a key that is no text"}
