"""The share of unit tests that the program in an answer passes, as a reward."""

from __future__ import annotations

import ast
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from luthier.api import DataError, Messages, Refused, column_of
from luthier_reward import sandbox
from luthier_reward.rewards.reading import COLUMN, ColumnReward, fenced
from luthier_reward.sandbox import Limits


class CodeTests(ColumnReward):
    """The share of an example's tests that the answer's Python program passes; 1 or 0 with `all_or_nothing`.

    The column `column` holds a list of tests: Python statements such as asserts, which run after the program in its
    interpreter, or mappings of `input` and `output`, whose output is compared outside the sandbox, where no program can
    change the result. The program is the answer's last ``` block, or all of it. `walls` is the sandbox; `none` runs the
    program with resource limits only. Refused where there is no sandbox on this machine.
    """

    def __init__(
        self,
        *,
        column: str = "tests",
        all_or_nothing: bool = True,
        walls: Literal["bubblewrap", "none"] = "bubblewrap",
        seconds: float = 5.0,
        memory: int = 512,
        disk: int = 16,
        processes: int = 16,
        output: int = 64,
    ) -> None:
        self.column: str = column
        self.all_or_nothing, self.walls = all_or_nothing, walls
        self.limits = Limits(seconds, memory, disk, processes, output)
        if walls == "bubblewrap" and (reason := sandbox.why_unavailable()):
            raise Refused(
                f"The code of answers would run here without a sandbox: {reason}.",
                where="method.reward.walls",
                hint="Install bubblewrap and util-linux. On a machine that is thrown away afterwards, "
                "method.reward.walls=none runs it with limits only.",
            )

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float]:
        tests = column_of(example, self.column, setting=COLUMN)
        tests = json.loads(tests) if isinstance(tests, str) else tests
        if not isinstance(tests, list) or not tests:
            raise DataError(f"The column {self.column!r} holds no list of tests.", where=str(example.get("where", "")))
        return [self._score(_code(answer), tests) for answer in answers]

    def formed(self, answer: str) -> bool:
        """Whether the program is syntactically valid Python."""
        try:
            ast.parse(_code(answer))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
        return bool(_code(answer).strip())

    def _score(self, code: str, tests: Sequence[Any]) -> float:
        statements = [str(test) for test in tests if not isinstance(test, Mapping)]
        passed = self._passed(code, statements) if statements else 0
        passed += sum(self._has_output(code, test) for test in tests if isinstance(test, Mapping))
        return float(passed == len(tests)) if self.all_or_nothing else passed / len(tests)

    def _passed(self, code: str, statements: Sequence[str]) -> int:
        mark = secrets.token_hex(16)
        output = self._run(_PROGRAM.format(code=code, tests=list(statements), mark=mark)).output
        return len({line for line in output.splitlines() if line.startswith(f"{mark} ")})

    def _has_output(self, code: str, test: Mapping[str, Any]) -> bool:
        outcome = self._run(code, str(test.get("input", "")))
        return outcome.code == 0 and _lines(outcome.output) == _lines(str(test["output"]))

    def _run(self, program: str, text: str = "") -> sandbox.Outcome:
        run = sandbox.run if self.walls == "bubblewrap" else sandbox.run_unprotected
        return run(program, text=text, limits=self.limits)


_PROGRAM = """
def judge():
    from os import write
    tests, mark, names = {tests!r}, {mark!r}, {{"__name__": "answer"}}
    exec(compile({code!r}, "answer", "exec"), names)
    for number, test in enumerate(tests):
        try:
            exec(compile(test, "test", "exec"), names)
        except BaseException:
            continue
        write(1, ("\\n" + mark + " " + str(number) + "\\n").encode())

judge()
"""
"""Runs in the sandbox. The mark is random for each answer: only a program that searches for it could forge it."""


def _code(answer: str) -> str:
    block = fenced(answer, "python")
    return answer if block is None else block


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]
