"""A reward in a process of its own, which can be killed."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

from luthier.api import Messages, PluginError, Reward, RewardResult, WarmingReward, compute_rewards

_CONTEXT = multiprocessing.get_context("spawn")  # a fork would take torch's threads along, as locks that nobody opens


class RewardFailed(Exception):  # noqa: N818 - read as `except RewardFailed`
    """A reward raised, gave what is no score, or was not done in time."""


class Worker:
    """Asks a reward in a process that is started when it is first needed and killed when it takes too long.

    What goes to and fro is JSON, so that a reward sees an example as plain values.
    """

    def __init__(self, reward: Reward, timeout: float) -> None:
        self.reward, self.timeout = reward, timeout
        self._process: Any = None
        self._connection: Any = None

    def ask(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> RewardResult:
        """What the reward says; RewardFailed where it says nothing that counts within `timeout` seconds."""
        if self._process is None or not self._process.is_alive():
            self._start()
        asked = json.dumps([list(prompt), list(answers), dict(example)], default=str)
        try:
            self._connection.send_bytes(asked.encode())
            if not self._connection.poll(self.timeout):
                self.close()
                raise RewardFailed(f"no score within {self.timeout:g} s")
            found = json.loads(self._connection.recv_bytes())
        except (EOFError, OSError) as error:
            self.close()
            raise RewardFailed("its process died") from error
        if "error" in found:
            raise RewardFailed(found["error"])
        return RewardResult(**found)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = None

    def _start(self) -> None:
        """PluginError where there can be no such process: that is no fault of an answer."""
        self.close()
        self._connection, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(theirs, self.reward), daemon=True, name="luthier-reward")
        try:
            self._process.start()
            theirs.close()
            if not self._connection.poll(_STARTING):
                raise TimeoutError(f"nothing heard within {_STARTING} s")
            self._connection.recv_bytes()
        except Exception as error:
            self._process = None
            raise PluginError(
                f"The reward {type(self.reward).__name__} cannot be asked in a process of its own: "
                f"{type(error).__name__}: {error}.",
                where="method.reward",
                hint="It must be defined at the top of a module; a script that calls luthier begins with `if __name__ "
                '== "__main__":`. A reward that says `in_process = True` is asked without one.',
            ) from error


_STARTING = 120  # seconds, in which a busy machine imports it


class Here:
    """Asks a reward that holds a network or a connection, in this process; it keeps time limits of its own."""

    def __init__(self, reward: Reward) -> None:
        self.reward = reward

    def ask(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> RewardResult:
        try:
            return compute_rewards(self.reward, prompt, answers, example)
        except Exception as error:
            raise RewardFailed(_said(error)) from error

    def close(self) -> None:
        """Nothing to end."""


def _serve(connection: Connection, reward: Reward) -> None:
    if isinstance(reward, WarmingReward):
        reward.warm_up()
    connection.send_bytes(b"ready")
    while True:
        try:
            prompt, answers, example = json.loads(connection.recv_bytes())
        except EOFError:
            return  # the run is over, or was killed
        try:
            found: dict[str, Any] = asdict(compute_rewards(reward, prompt, answers, example))
        except Exception as error:
            found = {"error": _said(error)}
        connection.send_bytes(json.dumps(found).encode())


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]
