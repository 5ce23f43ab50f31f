"""The end of a run: its artifact, its record with the views of it, and what its trackers are given."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any

from luthier.data.reading import SPLITS
from luthier.disk.writing import write_text
from luthier.models.processors import processor_files
from luthier.plugins.returned import returned
from luthier.reporting import terminal
from luthier.reporting.card import card
from luthier.reporting.console import coloured
from luthier.reporting.page import page
from luthier.training.tracking import finish
from luthier.workflows import artifact_saving, recording
from luthier.workflows.origins import origins
from luthier.workflows.places import places
from luthier.workflows.proving import NotProved, prove_artifact, texts_of_data

if TYPE_CHECKING:
    from pathlib import Path

    from luthier.inference.predictor import NetworkPredictor
    from luthier.plugins.registry import Plugins
    from luthier.reporting.console import Console
    from luthier.workflows.recording import RunOutcome


def write_artifact(run: RunOutcome, environment: dict[str, Any], trained: NetworkPredictor | None) -> None:
    """Write the artifact; `trained` is None for a run that trained no weight."""
    config, parts = run.composition.config, run.parts
    splits = {split: parts.data.examples(split) for split in SPLITS}
    finished = parts.method.finish(trained, splits) if trained else {}
    facts = {
        **returned(finished, Mapping, parts.method.finish),
        "run": run.folder.path.name,
        "recipe": run.composition.recipe,
        "recipe_hash": run.composition.hash,
        "seed": int(config.seed),
        "commit": environment["commit"],
        "packages": environment["packages"],
        "model": returned(parts.model.lineage(), dict, parts.model.lineage),
        "trained": run.trained,
        "step": run.end.best.step if run.end.best else run.end.step or None,
        **({"best": run.end.best.line} if run.end.best else {}),
        "needs_base": parts.adaptation.needs_base or not run.trained,
        "data": parts.data.fingerprint(),
        "places": places(config, run.folder.artifact),
        "parts": origins(config),
        "scores": _final_scores(run),
    }
    artifact_saving.save(
        parts.model.tokenizer, parts.prompt, trained, parts.adaptation, run.folder,
        recipe=config, facts=facts, processor=processor_files(parts.model),
        prove=partial(_proof, run, trained) if trained else lambda folder: {},
    )  # fmt: skip


def _proof(run: RunOutcome, trained: NetworkPredictor, folder: Path) -> Mapping[str, Any]:
    """The manifest's words on what was read back, or why nobody could."""
    parts = run.parts
    try:
        texts = texts_of_data(parts.data, trained.network)
        return prove_artifact(trained.network, parts.adaptation, parts.model, texts, folder).as_json()
    except NotProved as error:
        return {"unproved": str(error)}


def write_reports(run: RunOutcome, environment: dict[str, Any], plugins: Plugins, console: Console) -> None:
    """Write model cards, close the trackers, write report and record, the record last, and print the results."""
    record = recording.record(run, environment)
    shown = deepcopy(record)  # plugins may do with it as they like
    given = [section for _, sections in plugins.ask("luthier_report_sections", record=shown) for section in sections]
    record.sections += [one for one in given if not isinstance(one, str)]
    for warning in (one for one in given if isinstance(one, str)):  # of a plugin that failed
        record.warnings.append(warning.removeprefix("warning: "))
        console.say(warning)
    words = card(record.without_secrets)
    write_text(run.folder.card, words)
    artifact_saving.add_card(run.folder.artifact, words)
    _close_trackers(run)
    record.warnings += filter(None, [run.parts.tracking.warning()])
    record = record.without_secrets
    write_text(run.folder.report, page(record))
    record.save(run.folder.record)
    kind = f" ({run.artifact_kind})" if run.artifact_kind else ""
    places = {
        "Artifact": os.path.relpath(run.folder.artifact) + kind,
        "Report": os.path.relpath(run.folder.report),
    }
    console.data(terminal.table(record, places, colour=coloured(sys.stdout)), record.as_json())


def _close_trackers(run: RunOutcome) -> None:
    """Give the final scores, the sample answers and the artifact to the trackers."""
    samples = [
        {"prompt": one.conversation[-1].get("content"), "answer": one.output, "reference": one.reference}
        for one in (run.after.samples if run.after else ())
    ]
    finish(run.parts.tracking.loggers, _final_scores(run), samples, run.folder.artifact)


def _final_scores(run: RunOutcome) -> dict[str, float]:
    return {name: score.value for name, score in run.after.items()} if run.after else {}
