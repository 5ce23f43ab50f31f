"""The reward contract of reinforcement fine-tuning, tried against a local function as the service calls it.

The handler is called as `handler(samples, context)`: a list of rows, each with its `id`, the answer as its last turn
and the columns of the data. It returns a list of `{id, aggregate_reward_score, metrics_list}`, `metrics_list` being
of `{name, value, type}` with the type Metric or Reward. Both ways go through JSON, as a call of Lambda does.
Source: https://docs.aws.amazon.com/nova/latest/nova2-userguide/nova-implementing-reward-functions.html
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from itertools import islice
from typing import Any, TypeGuard

from luthier.api import DataError, RecipeError
from luthier_bedrock.files.kinds import KINDS
from luthier_bedrock.files.reading import rows_of_file

Handler = Callable[[Any, Any], Any]
TYPES = ("Metric", "Reward")


@dataclass
class Grades:
    """The scores of all samples, the values of each metric, and what breaks the contract, with its place."""

    scores: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    faults: list[tuple[str, str]] = field(default_factory=list)
    samples: int = 0

    def summary(self) -> str:
        """A line for people."""
        said = "NO GO" if self.faults else "GO"
        if not self.scores:
            return f"{said}  {self.samples:,} samples, none with a score"
        mean = statistics.fmean(self.scores)
        parts = [f"{name} {statistics.fmean(values):.4g}" for name, values in self.metrics.items()]
        spread = f"{min(self.scores):.4g} to {max(self.scores):.4g}"
        return (
            f"{said}  {self.samples:,} samples, mean score {mean:.4g} ({spread}){''.join(f', {one}' for one in parts)}"
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values, for scripts."""
        return {
            "go": not self.faults,
            "samples": self.samples,
            "scores": self.scores,
            "metrics": {name: statistics.fmean(values) for name, values in self.metrics.items()},
            "faults": [{"where": where, "reason": reason} for where, reason in self.faults],
        }


def handler_named(dotted: str) -> Handler:
    """The function that a dotted name names, of this folder or installed; RecipeError where there is none."""
    module, _, name = dotted.rpartition(".")
    if not module:
        raise RecipeError(f"{dotted!r} names no function of a module.", where="--function", hint="Say module.function.")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last: a file of this folder must not stand in for a library
    try:
        found = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        if error.name and not module.startswith(error.name):
            raise RecipeError(f"{module} cannot be imported: {error}.", where="--function") from error
        raise RecipeError(f"There is no module {module}.", where="--function") from error
    except Exception as error:
        message = f"{module} cannot be imported: {type(error).__name__}: {error}."
        raise RecipeError(message, where="--function") from error
    if not callable(found):
        raise RecipeError(f"{module} has no function {name!r}.", where="--function")
    handler: Handler = found
    return handler


def samples_of_file(file: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """File:line and the sample of each row: its last turn is the answer, else its reference stands in for one."""
    for number, located in enumerate(rows_of_file(file, KINDS["rft"])):
        row = dict(located.row)
        messages = [dict(turn) for turn in row["messages"]]
        if not messages or messages[-1].get("role") != "assistant":
            if "reference_answer" not in row:
                raise DataError("The row has neither an answer nor a `reference_answer`.", where=located.where)
            reference = row["reference_answer"]
            text = reference if isinstance(reference, str) else json.dumps(reference, ensure_ascii=False)
            messages.append({"role": "assistant", "content": text})
        yield located.where, {**row, "id": str(row.get("id", number)), "messages": messages}


def grade(handler: Handler, samples: Iterable[tuple[str, dict[str, Any]]], batch: int) -> Grades:
    """Call the handler with so many samples at a time, and hold what it returns against the contract."""
    grades, rest = Grades(), iter(samples)
    while together := list(islice(rest, batch)):
        grades.samples += len(together)
        first = together[0][0]
        try:
            with contextlib.redirect_stdout(sys.stderr):  # what it prints is no result
                answer = handler(json.loads(json.dumps([one for _, one in together])), None)
            returned = json.loads(json.dumps(answer))
        except (Exception, SystemExit) as error:
            grades.faults.append((first, f"the function fails: {type(error).__name__}: {error}"))
            continue
        _judge(returned, together, grades)
    return grades


def _judge(returned: Any, together: list[tuple[str, dict[str, Any]]], grades: Grades) -> None:
    if not isinstance(returned, list):
        grades.faults.append((together[0][0], f"the function returns {_kind(returned)}, where a list is expected"))
        return
    by_id: dict[str, Any] = {}
    for result in returned:
        if not isinstance(result, dict) or not isinstance(result.get("id"), str):
            grades.faults.append((together[0][0], f"a result has no text in `id`: {json.dumps(result)[:80]}"))
        elif result["id"] in by_id:
            grades.faults.append((together[0][0], f"there are two results for the id {result['id']!r}"))
        else:
            by_id[result["id"]] = result
    for where, sample in together:
        if sample["id"] not in by_id:
            grades.faults.append((where, f"there is no result for the id {sample['id']!r}"))
        else:
            _read(by_id.pop(sample["id"]), where, grades)
    for strange in by_id:
        grades.faults.append((together[0][0], f"there is a result for the id {strange!r}, which was not asked for"))


def _read(result: dict[str, Any], where: str, grades: Grades) -> None:
    score = result.get("aggregate_reward_score")
    if not _is_number(score):
        grades.faults.append((where, f"`aggregate_reward_score` is {_kind(score)}, where a finite number is expected"))
    else:
        grades.scores.append(float(score))
    metrics = result.get("metrics_list", [])
    if not isinstance(metrics, list):
        grades.faults.append((where, f"`metrics_list` is {_kind(metrics)}, where a list is expected"))
        return
    for index, metric in enumerate(metrics):
        at = f"`metrics_list[{index}]`"
        if not isinstance(metric, dict) or not isinstance(metric.get("name"), str):
            grades.faults.append((where, f"{at} has no name"))
        elif not _is_number(metric.get("value")):
            grades.faults.append(
                (where, f"the value of {at} is {_kind(metric.get('value'))}, where a number is expected")
            )
        elif metric.get("type") not in TYPES:
            grades.faults.append((where, f"the type of {at} is {metric.get('type')!r}; it is Metric or Reward"))
        else:
            grades.metrics.setdefault(metric["name"], []).append(float(metric["value"]))


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _kind(value: Any) -> str:
    return "missing" if value is None else f"{type(value).__name__} {json.dumps(value)[:60]}"
