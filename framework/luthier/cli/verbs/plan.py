"""`luthier plan <answers>`: what a recipe or pipeline comes to, who said each value, whether it can run; read-only."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from luthier.cli.call import Call
from luthier.config.checks import PARTS
from luthier.config.origins import COMMAND_LINE, OPTION_FILE, RECIPE
from luthier.workflows.pipelines import addressing

if TYPE_CHECKING:
    from luthier.config.compose import Composer, Composition
    from luthier.config.origins import Origins
    from luthier.models.trainable_parameters import ParameterCounts
    from luthier.workflows.planning.data_sample import DataSample
    from luthier.workflows.planning.pipeline_plan import PipelinePlan
    from luthier.workflows.planning.plan import Plan


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("answers", nargs="*", metavar="key=value", help="the recipe, as on any command line")
    parser.add_argument("--all", action="store_true", help="show the settings that nobody changed, too")
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")


def act(call: Call) -> int:
    composer = call.composer(call.arguments.config_dir)
    overrides = call.arguments.answers
    if addressing.named(overrides):
        return _of_pipeline(call, composer)
    composition = composer.compose(overrides)
    origins = composer.origins(overrides)
    from luthier.workflows.planning.plan import plan

    found = plan(composition)
    record = _record(found, origins, overrides)
    call.console.data(_page(call, found, record), record)
    return found.code


def _of_pipeline(call: Call, composer: Composer) -> int:
    from luthier.workflows.planning import pipeline_plan

    found = pipeline_plan.plan(addressing.asked_for(call.arguments.answers, composer.catalog), composer)
    steps = [
        one.as_json() | {"plan": one.plan and _record(one.plan, composer.origins(one.overrides), one.overrides)}
        for one in found.steps
    ]
    record = {"go": not found.code, "pipeline": found.name, "seconds": round(found.seconds), "steps": steps}
    call.console.data(_page_of_pipeline(call, found), record)
    return found.code


def _page_of_pipeline(call: Call, found: PipelinePlan) -> str:
    steps = [(one.step, one.recipe, one.says) for one in found.steps]
    tables = [call.console.table(("step", "recipe", "what will happen"), steps)]
    for one in found.steps:
        facts = [("" if place else one.step, *fact) for place, fact in enumerate(one.facts(_facts))]
        tables += [call.console.table(("", "", ""), facts)] if facts else []
    lines = [f"about {_duration(found.seconds)} of training in all"] if found.seconds else []
    lines += [f"problem  {problem}" for problem in found.problems]
    lines += [f"{'NO GO' if found.code else 'GO'}  pipeline={found.name}"]
    lines += [] if found.code else [f"run it:  luthier {' '.join(call.arguments.answers)}"]
    return "\n\n".join([*tables, "\n".join(lines)])


def _record(found: Plan, origins: Origins, overrides: list[str]) -> dict[str, Any]:
    head, weights = found.data, found.weights
    return {
        "go": not found.problems,
        "recipe": found.composition.recipe,
        "hash": found.composition.hash,
        "answers": list(_answers(found.composition, origins)),
        "settings": list(_settings(found.composition, origins)),
        "data": head and {name: getattr(head, name) for name in head.__slots__ if name != "lengths"},
        "weights": weights and {"total": weights.total, "trained": weights.trained},
        "steps": found.steps and {"count": found.steps.count, "tokens": round(found.steps.tokens)},
        "memory": {**found.memory, "total": sum(found.memory.values()), "free": found.free_memory},
        "seconds": round(found.seconds),
        "disk": {**found.disk, "total": sum(found.disk.values()), "free": found.free_disk},
        "problems": [problem.as_json() for problem in found.problems],
        "unknown": found.unknown,
        "dropped": found.composition.dropped,
        "run": " ".join(["luthier", *overrides]),
    }


def _answers(composition: Composition, origins: Origins) -> Iterator[dict[str, Any]]:
    for question, answer in sorted(composition.choices.items()):
        if not question.startswith("hydra/"):
            origin = origins.of_answer(question, answer)
            by = origin.by if origin else OPTION_FILE
            yield {"question": question, "answer": answer, "by": by, "where": str(origin) if origin else ""}


def _settings(composition: Composition, origins: Origins) -> Iterator[dict[str, Any]]:
    """Every setting with its value, and who said it: the command line, a recipe, an option file, or the code."""
    from omegaconf import OmegaConf

    for path, value in _leaves(OmegaConf.to_container(composition.config), ""):
        origin = origins.exactly(path)
        yield {
            "path": path,
            "value": value,
            "by": origin.by if origin else "code",
            "where": str(origin) if origin else "",
        }


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(node, dict) or not node:
        yield path, node
        return
    for key, value in node.items():
        if not str(key).startswith("_"):
            yield from _leaves(value, f"{path}.{key}".lstrip("."))


def _page(call: Call, found: Plan, record: dict[str, Any]) -> str:
    everything = call.arguments.all
    answers = [one for one in record["answers"] if everything or _is_told(one) or one["question"] in PARTS]
    rows = [(one["question"], one["answer"], one["where"]) for one in answers]
    values = [
        (one["path"], json.dumps(one["value"], ensure_ascii=False), one["where"] or one["by"])
        for one in record["settings"]
        if everything or _is_told(one)
    ]
    tables = [call.console.table(("question", "answer", "said in"), rows)]
    tables += [call.console.table(("setting", "value", "said in"), values)] if values else []
    tables += [call.console.table(("", ""), list(_facts(found)))]
    lines = [f"unknown  {line}" for line in found.unknown]
    lines += [f"note     {line}" for line in found.composition.dropped]
    lines += [f"problem  {problem}" for problem in found.problems]
    verdict = "GO" if not found.problems else "NO GO"
    lines += [f"{verdict}  recipe={found.composition.recipe}  {found.composition.hash[:12]}", *_next(record)]
    return "\n\n".join([*tables, "\n".join(lines)])


def _is_told(one: dict[str, Any]) -> bool:
    return one["by"] in {COMMAND_LINE, RECIPE}


def _next(record: dict[str, Any]) -> list[str]:
    return [f"run it:  {record['run']}"] if record["go"] else []


def _facts(found: Plan) -> Iterator[tuple[str, str]]:
    if found.data is not None:
        yield from _of_data(found.data)
    if (weights := found.weights) is not None:
        yield "trains", _trained(weights)
    if found.steps is not None:
        batch = found.composition.config.batch
        unit = f"blocks of {batch.length} tokens" if batch.packing else "examples"
        yield "steps", f"{found.steps.count:,} of {batch.size} {unit}, {round(found.steps.tokens):,} tokens in all"
    if found.seconds:
        yield "time", f"about {_duration(found.seconds)} of training on this machine, by what it multiplies now"
    for what, needs, free in (("memory", found.memory, found.free_memory), ("disk", found.disk, found.free_disk)):
        if needs:
            parts = ", ".join(f"{name} {_size(size)}" for name, size in needs.items() if size)
            yield what, f"about {_size(sum(needs.values()))} of {_size(free)} free: {parts}"


def _trained(weights: ParameterCounts) -> str:
    if not weights.trained:
        return f"nothing: all {weights.total:,} weights stay as they are"
    if weights.trained == weights.total:
        return f"all {weights.total:,} weights"
    return f"{weights.trained:,} of {weights.total:,} weights ({100 * weights.share:.2g} %)"


def _of_data(head: DataSample) -> Iterator[tuple[str, str]]:
    more = "" if head.complete else " or more"
    splits = ", ".join(f"{name} {count:,}" for name, count in head.splits.items())
    yield "data", f"{head.examples:,}{more} examples: {splits}"
    yield "", head.format
    other = {name: count for name, count in head.counts.items() if name not in {*head.splits, "examples"}}
    yield "", ", ".join(f"{name} {count:,}" for name, count in other.items())
    how = f"the longest of {head.encoded} has {head.longest}" if head.encoded else "guessed from the characters"
    yield "", f"about {round(head.tokens):,}{more} tokens to train on; {how}"
    yield from (("warning", line) for line in head.warnings)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
