"""The process that computes a reward: a separate one with a time limit, or the training process."""

from __future__ import annotations

import copy
import json
import multiprocessing
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

from luthier.api import (
    Messages,
    MisreturnedScoresError,
    PluginError,
    Reward,
    RewardResult,
    StatefulPart,
    WarmingReward,
    compute_rewards,
    culprit,
    has_state,
    misreturned,
)

_CONTEXT = multiprocessing.get_context("spawn")  # a fork copies torch's threads as locks that are never released
_START_SECONDS = 120
"""Time limit of starting the process and importing the reward on a busy machine."""


class RewardError(Exception):
    """A reward raised, returned invalid scores, or exceeded its time limit."""


class RewardProcess:
    """Computes a reward in a separate process, which starts at the first call and is killed at the time limit.

    Arguments and scores are sent as JSON, so a reward sees an example as plain values. The state of a reward that has
    one (`StatefulPart`) is sent to the process before each call and taken back after it, unless the call failed.
    """

    def __init__(self, reward: Reward, timeout: float) -> None:
        self.reward, self.timeout = reward, timeout
        self._process: Any = None
        self._connection: Any = None

    def compute(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> RewardResult:
        """The rewards of the answers; RewardError where there are no valid ones within `timeout` seconds."""
        if self._process is None or not self._process.is_alive():
            self._start()
        state = _state(self.reward) if has_state(self.reward) else None
        arguments = json.dumps([list(prompt), list(answers), dict(example), state], default=str)
        try:
            self._connection.send_bytes(arguments.encode())
            if not self._connection.poll(self.timeout):
                self.close()
                raise RewardError(f"no score within {self.timeout:g} s")
            response = json.loads(self._connection.recv_bytes())
        except (EOFError, OSError) as error:
            self.close()
            raise RewardError("its process died") from error
        if "error" in response:
            raise RewardError(response["error"])
        changed = response.pop("state")
        if has_state(self.reward):
            self.reward.load_state_dict(changed)
        return RewardResult(**response)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = None

    def _start(self) -> None:
        """PluginError where the process cannot start, which is not a fault of an answer."""
        self.close()
        self._connection, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(theirs, self.reward), daemon=True, name="luthier-reward")
        try:
            self._process.start()
            theirs.close()
            if not self._connection.poll(_START_SECONDS):
                raise TimeoutError(f"it did not start within {_START_SECONDS} s")
            self._connection.recv_bytes()
        except Exception as error:
            self._process = None
            raise PluginError(
                f"The reward {type(self.reward).__name__} cannot be computed in a separate process: "
                f"{type(error).__name__}: {error}.",
                where="method.reward",
                hint="It must be defined at the top level of a module; a script that calls luthier begins with `if "
                '__name__ == "__main__":`. A reward with `in_process = True` is computed in the training process.',
            ) from error


class LocalReward:
    """Computes a reward that holds a network or a connection in the training process, without a time limit.

    A call that fails leaves the state of a reward that has one (`StatefulPart`) as it was.
    """

    def __init__(self, reward: Reward) -> None:
        self.reward = reward

    def compute(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> RewardResult:
        before = copy.deepcopy(self.reward.state_dict()) if has_state(self.reward) else None
        try:
            return compute_rewards(self.reward, prompt, answers, example)
        except Exception as error:
            if before is not None and has_state(self.reward):
                self.reward.load_state_dict(before)
            raise RewardError(_description(error, self.reward)) from error

    def close(self) -> None:
        """There is no process to end."""


def _serve(connection: Connection, reward: Reward) -> None:
    if isinstance(reward, WarmingReward):
        reward.warm_up()
    connection.send_bytes(b"ready")
    while True:
        try:
            prompt, answers, example, state = json.loads(connection.recv_bytes())
        except EOFError:
            return  # the run has ended or was killed
        try:
            if has_state(reward):
                reward.load_state_dict(state)
            response: dict[str, Any] = asdict(compute_rewards(reward, prompt, answers, example))
            response["state"] = _state(reward) if has_state(reward) else None
        except (Exception, SystemExit) as error:
            response = {"error": _description(error, reward)}
        connection.send_bytes(json.dumps(response).encode())


def _state(reward: StatefulPart) -> dict[str, Any] | None:
    """The state of a reward; PluginError where JSON does not hold it unchanged."""
    state = reward.state_dict()
    try:
        held = json.loads(json.dumps(state, allow_nan=False)) == state
    except (TypeError, ValueError):
        held = False
    if not held:
        raise PluginError(
            f"JSON does not hold the state of the reward {type(reward).__name__} unchanged.",
            where="method.reward",
            hint="Let state_dict give text, numbers, lists, and dicts whose keys are text; or set in_process = True.",
        )
    return state


def _description(error: BaseException, reward: Reward) -> str:
    if isinstance(error, MisreturnedScoresError):
        return misreturned(reward, error.expected, error.given).message.rstrip(".")
    place = culprit(error)
    return f"{type(error).__name__}: {error}"[:500] + (f", in {place}" if place else "")
