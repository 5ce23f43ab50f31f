"""`luthier plan <answers>`: check a recipe or pipeline, estimate its costs, show where each value is set; read-only."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from luthier.cli.call import Call
from luthier.config.checks import PARTS
from luthier.config.origins import COMMAND_LINE, OPTION_FILE, RECIPE
from luthier.errors import RecipeError
from luthier.workflows.pipelines import addressing

if TYPE_CHECKING:
    from luthier.config.compose import Composer, Composition
    from luthier.config.origins import Origins
    from luthier.inference.proof import ArchitectureProof
    from luthier.models.trainable_parameters import ParameterCounts
    from luthier.workflows.planning.data_sample import DataSample
    from luthier.workflows.planning.pipeline_plan import PipelinePlan
    from luthier.workflows.planning.plan import RecipePlan
    from luthier.workflows.planning.probe import Prober


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("answers", nargs="*", metavar="key=value", help="the recipe, as for `luthier recipe=…`")
    parser.add_argument("--all", action="store_true", help="also show the settings that keep their defaults")
    parser.add_argument("--probe", action="store_true", help="train for two steps, to measure memory and time")
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")


def act(call: Call) -> int:
    composer = call.composer(call.arguments.config_dir)
    overrides = call.arguments.answers
    if addressing.names_pipeline(overrides):
        if call.arguments.probe:
            raise RecipeError("A probe measures one recipe.", where="--probe", hint="Plan the steps one by one.")
        return _of_pipeline(call, composer)
    composition = composer.compose(overrides)
    origins = composer.origins(overrides)
    prober = _prober(call) if call.arguments.probe else None
    from luthier.workflows.planning.plan import plan_recipe

    plan = plan_recipe(composition, prober)
    record = _record(plan, origins, _command(call, overrides))
    call.console.data(_page(call, plan, record), record)
    return plan.code


def _prober(call: Call) -> Prober:
    from luthier.workflows.planning.probe import Prober

    return Prober(call.flags.again(call.arguments.config_dir), dict(os.environ))


def _of_pipeline(call: Call, composer: Composer) -> int:
    from luthier.workflows.planning.pipeline_plan import plan_pipeline

    plan = plan_pipeline(addressing.pipeline_of(call.arguments.answers, composer.catalog), composer)
    steps = [
        one.as_json()
        | {"plan": one.plan and _record(one.plan, composer.origins(one.overrides), _command(call, one.overrides))}
        for one in plan.steps
    ]
    record = {"go": not plan.code, "pipeline": plan.name, "seconds": round(plan.seconds), "steps": steps}
    call.console.data(_page_of_pipeline(call, plan), record)
    return plan.code


def _page_of_pipeline(call: Call, plan: PipelinePlan) -> str:
    steps = [(one.step, one.recipe, one.says) for one in plan.steps]
    tables = [call.console.table(("step", "recipe", "what will happen"), steps)]
    for one in plan.steps:
        facts = [("" if place else one.step, *fact) for place, fact in enumerate(one.facts(_facts))]
        tables += [call.console.table(("", "", ""), facts)] if facts else []
    lines = [f"about {_duration(plan.seconds)} of training in all"] if plan.seconds else []
    lines += [f"problem  {problem}" for problem in plan.problems]
    lines += [f"{'NO GO' if plan.code else 'GO'}  pipeline={plan.name}"]
    lines += [] if plan.code else [f"run it:  {_command(call, call.arguments.answers)}"]
    return "\n\n".join([*tables, "\n".join(lines)])


def _command(call: Call, overrides: Sequence[str]) -> str:
    return call.flags.to_paste(*overrides, config_dir=call.arguments.config_dir)


def _record(plan: RecipePlan, origins: Origins, command: str) -> dict[str, Any]:
    sample, weights = plan.data, plan.weights
    return {
        "go": not plan.problems,
        "recipe": plan.composition.recipe,
        "hash": plan.composition.hash,
        "answers": list(_answers(plan.composition, origins)),
        "settings": list(_settings(plan.composition, origins)),
        "data": sample and {name: getattr(sample, name) for name in sample.__slots__ if name != "lengths"},
        "weights": weights
        and {"total": weights.total, "trained": weights.trained, "other_modalities": weights.other_modalities},
        "proof": plan.proof and asdict(plan.proof),
        "experts": plan.experts,
        "steps": plan.steps and {"count": plan.steps.count, "tokens": round(plan.steps.tokens)},
        "held_out": plan.held_out and plan.held_out.as_json(),
        "memory": {**plan.memory, "total": sum(plan.memory.values()), "free": plan.free_memory},
        "seconds": round(plan.seconds),
        "probe": plan.probe and asdict(plan.probe),
        "disk": {**plan.disk, "total": sum(plan.disk.values()), "free": plan.free_disk},
        "problems": [problem.as_json() for problem in plan.problems],
        "unknown": plan.unknown,
        "dropped": plan.composition.dropped,
        "precision": plan.composition.precision,
        "notes": list(plan.composition.notes),
        "run": command,
    }


def _answers(composition: Composition, origins: Origins) -> Iterator[dict[str, Any]]:
    for question, answer in sorted(composition.choices.items()):
        if not question.startswith("hydra/"):
            origin = origins.of_answer(question, answer)
            by = origin.by if origin else OPTION_FILE
            yield {"question": question, "answer": answer, "by": by, "where": str(origin) if origin else ""}


def _settings(composition: Composition, origins: Origins) -> Iterator[dict[str, Any]]:
    """Every setting with its value and where it is set: the command line, a recipe, an option file, or the code."""
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


def _page(call: Call, plan: RecipePlan, record: dict[str, Any]) -> str:
    everything = call.arguments.all
    answers = [one for one in record["answers"] if everything or _is_explicit(one) or one["question"] in PARTS]
    rows = [(one["question"], one["answer"], one["where"]) for one in answers]
    values = [
        (one["path"], json.dumps(one["value"], ensure_ascii=False), one["where"] or one["by"])
        for one in record["settings"]
        if everything or _is_explicit(one)
    ]
    tables = [call.console.table(("question", "answer", "set in"), rows)]
    tables += [call.console.table(("setting", "value", "set in"), values)] if values else []
    tables += [call.console.table(("", ""), list(_facts(plan)))]
    lines = [f"unknown  {line}" for line in plan.unknown]
    lines += [f"note     {line}" for line in _notes(plan.composition)]
    lines += [f"problem  {problem}" for problem in plan.problems]
    verdict = "GO" if not plan.problems else "NO GO"
    lines += [f"{verdict}  recipe={plan.composition.recipe}  {plan.composition.hash[:12]}", *_next(record)]
    return "\n\n".join([*tables, "\n".join(lines)])


def _notes(composition: Composition) -> list[str]:
    return [*composition.dropped, *composition.notes]


def _is_explicit(one: dict[str, Any]) -> bool:
    return one["by"] in {COMMAND_LINE, RECIPE}


def _next(record: dict[str, Any]) -> list[str]:
    return [f"run it:  {record['run']}"] if record["go"] else []


def _facts(plan: RecipePlan) -> Iterator[tuple[str, str]]:
    if plan.data is not None:
        yield from _of_data(plan.data)
    if (weights := plan.weights) is not None:
        yield "trains", _trained(weights)
        if weights.other_modalities:
            yield "", _other_modalities(weights)
    yield from ((name.lower(), text) for name, text in plan.experts.items())
    if plan.steps is not None:
        batch = plan.composition.config.batch
        unit = f"blocks of {batch.length} tokens" if batch.packing else "examples"
        yield "steps", f"{plan.steps.count:,} of {batch.size} {unit}, {round(plan.steps.tokens):,} tokens in all"
    if plan.trains and plan.composition.precision:
        yield "precision", plan.composition.precision
    if plan.proof is not None:
        yield "proof", _proved(plan.proof)
    elif not plan.has_twin:
        yield "proof", "none yet: no small twin of its configuration can be built, so the run tries the network itself"
    if (held_out := plan.held_out) is not None:
        yield "validation", held_out.validation
        yield "ends", held_out.end
        yield "artifact", held_out.artifact
    if plan.seconds:
        aside = ", validations aside" if held_out is not None and held_out.validates else ""
        by = "the second step of the probe" if plan.probe else "what it multiplies now"
        yield "time", f"about {_duration(plan.seconds)} of training on this machine, by {by}{aside}"
    for what, needs, free in (("memory", plan.memory, plan.free_memory), ("disk", plan.disk, plan.free_disk)):
        if needs:
            parts = ", ".join(f"{name} {_size(size)}" for name, size in needs.items() if size)
            yield what, f"about {_size(sum(needs.values()))} of {_size(free)} free: {parts}"
    if plan.probe is not None:
        yield from (("probe", warning) for warning in plan.probe.warnings)


def _proved(proof: ArchitectureProof) -> str:
    layout, decoding = proof.layout, proof.decoding
    said = f"a tiny twin computes texts {layout.packed} ({layout.attention}) as each alone"
    said += f"; not faster, as {layout.reason}" if layout.reason else ""
    if layout.border is not None:
        beyond = "longer ones one length at a time" if layout.takes_longer else "longer ones are refused"
        said += f"; up to {layout.border:,} tokens, {beyond}"
    if not decoding.padded:
        said += "; it generates from prompts of one length at a time"
    return said + ("" if decoding.cache else ", and reads all again for each token")


def _trained(weights: ParameterCounts) -> str:
    if not weights.trained:
        return f"nothing: all {weights.total:,} weights stay as they are"
    if weights.trained == weights.total:
        return f"all {weights.total:,} weights"
    return f"{weights.trained:,} of {weights.total:,} weights ({100 * weights.share:.2g} %)"


def _other_modalities(weights: ParameterCounts) -> str:
    parts = ", ".join(weights.other_parts)
    return weights.warning or f"{weights.other_modalities:,} weights of {parts} stay: no text passes through them"


def _of_data(sample: DataSample) -> Iterator[tuple[str, str]]:
    more = "" if sample.complete else " or more"
    splits = ", ".join(f"{name} {count:,}" for name, count in sample.splits.items())
    yield "data", f"{sample.examples:,}{more} examples: {splits}"
    yield "", sample.format
    other = {name: count for name, count in sample.counts.items() if name not in {*sample.splits, "examples"}}
    yield "", ", ".join(f"{name} {count:,}" for name, count in other.items())
    how = f"the longest of {sample.encoded} has {sample.longest}" if sample.encoded else "guessed from the characters"
    yield "", f"about {round(sample.tokens):,}{more} tokens to train on; {how}"
    yield from (("warning", line) for line in sample.warnings)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
