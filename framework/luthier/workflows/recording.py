"""The record of a run, gathered from its parts, its files and its scores."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import pstdev
from typing import TYPE_CHECKING, Any

import torch

from luthier.config.command_line import to_paste
from luthier.contracts.heads import Head
from luthier.contracts.model import HasProofs
from luthier.disk.reading import read_json
from luthier.models.adaptation import count
from luthier.models.encoder_heads import is_masked_lm
from luthier.models.modalities import other_modalities, other_weights
from luthier.models.sequence_classification import has_small_head
from luthier.models.wrappers import unwrapped
from luthier.plugins.returned import returned
from luthier.records.events import complete_lines
from luthier.reporting.record import (
    DataFacts,
    ExpertLoad,
    LedgerToken,
    ModelFacts,
    ProofFacts,
    RecordedLedger,
    RunRecord,
    Sample,
    ScoreComparison,
    TrainingFacts,
)
from luthier.training.child_processes import quoted
from luthier.workflows import course
from luthier.workflows.artifact import ARTIFACT_MANIFEST
from luthier.workflows.known_by_heart import heart_sections, heart_warnings

if TYPE_CHECKING:
    from luthier.config.compose import Composition
    from luthier.contracts.proof import Proof
    from luthier.data.ledger import Ledger as TokenLedger
    from luthier.evaluation.scores import Scores
    from luthier.records.folder import RunFolder
    from luthier.training.trainer import TrainingEnd
    from luthier.workflows.parts import Parts

CURVES = ("loss", "validation_loss", course.SCORE, "learning_rate", "gradient_norm", "tokens_per_second")
"""The metrics that are drawn of every run, followed by all metrics of the method."""
NOT_DRAWN = {"step", "epoch", "tokens", "seconds", "memory_bytes", "joules"}
REPORTED_VERSIONS = ("luthier", "torch", "pytorch-lightning", "transformers", "peft", "datasets", "hydra-core")


@dataclass(frozen=True)
class RunOutcome:
    """The parts and the results of a finished run."""

    composition: Composition
    parts: Parts
    folder: RunFolder
    before: Scores | None
    after: Scores | None
    trained: bool
    artifact_kind: str
    fit_seconds: float
    start: Path | None
    end: TrainingEnd


def record(run: RunOutcome, environment: dict[str, Any]) -> RunRecord:
    """Everything that the report, the table and the model card show."""
    composition = run.composition
    packages = environment["packages"]
    measured = run.after if run.after is not None else run.before
    return RunRecord(
        name=run.folder.path.name,
        recipe=composition.recipe,
        purpose=composition.purpose,
        started=time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(composition.started)),
        seconds=round(time.time() - composition.started, 3),
        seed=int(composition.config.seed),
        command=to_paste(*composition.overrides, flags=composition.flags),
        answers={question: str(name) for question, name in composition.choices.items() if "hydra" not in question},
        resolved=run.folder.resolved.read_text(encoding="utf-8"),
        commit=(environment["commit"] or {}).get("revision", ""),
        model=_model(run),
        training=_training(run),
        method=dict(run.parts.method.facts),
        labels=list(head.labels) if (head := _head(run)) else [],
        problem=head.problem if head else "masked_lm" if _fills_masks(run) else "",
        is_generative=run.parts.method.is_generative,
        data=[
            DataFacts(
                name=composition.choices.get("data", ""),
                licence=str(run.parts.data.fingerprint()["source"].get("licence", "")),
                digest=str(run.parts.data.digest),
                counts=dict(run.parts.data.report()),
            )
        ],
        splits={name: len(run.parts.data.examples(name)) for name in ("train", "validation", "test")},
        curves=_curves(run),
        experts=_experts(run.parts.method.expert_loads),
        comparisons=comparisons(run.before, run.after),
        confidence=run.parts.evaluation.bootstrap.confidence,
        evaluated=dict(measured.counts) if measured is not None else {},
        samples=_samples(run.before, run.after),
        ledger=_ledger(run.parts.data.token_ledger()),
        versions={
            "python": environment["python"],
            "platform": environment["platform"],
            **{name: packages[name] for name in REPORTED_VERSIONS if name in packages},
        },
        warnings=[
            *composition.dropped,
            *composition.notes,
            *run.parts.data.warnings,
            *run.parts.method.warnings,
            *heart_warnings(run.before or run.after),
        ],
        proofs=_proofs(run),
        sections=[*run.parts.method.sections, *heart_sections(run.before or run.after)],
        artifact="artifact" if run.folder.artifact.is_dir() else "",
        artifact_kind=run.artifact_kind,
        next_commands=_next(run),
    )


def _fills_masks(run: RunOutcome) -> bool:
    return run.parts.method.is_loaded and is_masked_lm(run.parts.method.network)


def _head(run: RunOutcome) -> Head | None:
    """That of a classifier or a tagger."""
    network: Any = unwrapped(run.parts.method.network) if run.parts.method.is_loaded else None
    return Head.of(network.config) if network is not None and has_small_head(network) else None


def comparisons(before: Scores | None, after: Scores | None) -> list[ScoreComparison]:
    """Each score before and after, with the paired change where both were measured."""
    changes = before.compare(after) if before is not None and after is not None else {}
    names = list(dict.fromkeys([*(after or {}), *(before or {})]))
    return [
        ScoreComparison(
            name=name,
            before=before[name] if before is not None and name in before.measurements else None,
            after=after[name] if after is not None and name in after.measurements else None,
            change=changes[name].change if name in changes else None,
            verdict=changes[name].verdict if name in changes else "",
        )
        for name in names
    ]


def _model(run: RunOutcome) -> ModelFacts:
    model = run.parts.model
    lineage = returned(model.lineage(), dict, model.lineage)
    network = run.parts.method.network if run.parts.method.is_loaded else None
    weights = list(network.parameters()) if network is not None else []
    return ModelFacts(
        name=Path(str(lineage.get("name", ""))).name,
        base=str(lineage.get("id", "")),
        architecture=next(iter(run.parts.model.config.architectures or []), run.parts.model.config.model_type),
        parameters=count(weights) or None,
        trained=count(weight for weight in weights if weight.requires_grad) if run.trained else None,
        other_modalities=(network is not None and count(other_weights(network))) or None,
        other_parts=other_modalities(network) if network is not None else [],
        licence=str(lineage.get("licence", "")),
        note=str(lineage.get("note", "")),
        lineage={key: str(value) for key, value in lineage.items() if value and not isinstance(value, dict)},
    )


def _training(run: RunOutcome) -> TrainingFacts:
    steps = complete_lines(run.folder.metrics) if run.folder.metrics.is_file() else []
    if not run.trained or not steps:
        return TrainingFacts()
    tokens, seconds = sum(step["tokens"] for step in steps), sum(step["seconds"] for step in steps)
    config = run.composition.config
    return TrainingFacts(
        steps=steps[-1]["step"],
        epochs=round(
            steps[-1]["step"] * run.parts.trainer.epochs / max(run.parts.data.steps(run.parts.trainer.epochs, 1), 1), 2
        ),
        tokens=tokens,
        tokens_per_second=round(tokens / seconds, 1) if seconds else None,
        seconds=round(seconds, 3),
        productive=round(seconds / run.fit_seconds, 3) if run.fit_seconds else None,
        peak_memory=max(step["memory_bytes"] for step in steps) or None,
        joules=sum(step["joules"] for step in steps) if all("joules" in step for step in steps) else None,
        device=_device(run),
        precision=run.composition.precision,
        resumed_from=run.start.name if run.start else "",
        **course.facts(run.end),
        optimizer={
            "name": run.composition.choices.get("optimizer", ""),
            "learning rate": f"{config.optimizer.get('lr', '')}",
            "batch": f"{config.batch.size} {'blocks' if config.batch.packing else 'examples'} a step",
        },
    )


def _device(run: RunOutcome) -> str:
    if run.parts.trainer.device.type == "cuda":
        return torch.cuda.get_device_name(run.parts.trainer.device)
    return f"cpu, {torch.get_num_threads()} threads"


def _curves(run: RunOutcome) -> dict[str, list[tuple[int, float | None]]]:
    steps = complete_lines(run.folder.metrics) if run.folder.metrics.is_file() else []
    held_out = course.curves(run.end)
    curves = {
        name: [(line["step"], line[name] if isinstance(line[name], float) else None) for line in steps if name in line]
        for name in dict.fromkeys([*CURVES, *(name for line in steps[:1] for name in line if name not in NOT_DRAWN)])
    } | held_out
    return {name: points for name, points in curves.items() if points}


def _proofs(run: RunOutcome) -> list[ProofFacts]:
    """Of the weights that the run started from, where they were merged, and of its artifact."""
    written = read_json(run.folder.artifact / ARTIFACT_MANIFEST).get("proof")
    model = run.parts.model
    begun = [proof_facts(what, proof) for what, proof in (model.proofs if isinstance(model, HasProofs) else {}).items()]
    return [*begun, *([ProofFacts(what="Artifact", **written)] if written else [])]


def proof_facts(what: str, proof: Proof) -> ProofFacts:
    """A proof as reports show it."""
    return ProofFacts(what=what, **proof.as_json())


def _experts(loads: Mapping[str, Sequence[float]]) -> list[ExpertLoad]:
    found = []
    for layer, load in loads.items():
        total = sum(load)
        if total:
            shares = [tokens / total for tokens in load]
            found.append(ExpertLoad(layer=layer, shares=shares, variation=pstdev(shares) * len(shares)))
    return found


def _samples(before: Scores | None, after: Scores | None) -> list[Sample]:
    first = before.samples if before else []
    second = after.samples if after else []
    return [
        Sample(
            conversation=[
                {"role": str(message["role"]), "content": str(message.get("content") or "")}
                for message in (second or first)[number].conversation
            ],
            reference=(second or first)[number].reference,
            before=first[number].output if number < len(first) else None,
            after=second[number].output if number < len(second) else None,
        )
        for number in range(max(len(first), len(second)))
    ]


def _next(run: RunOutcome) -> dict[str, str]:
    folder, for_recipes = os.path.relpath(run.folder.path), list(run.composition.flags)
    flags = for_recipes[: for_recipes.index("--config-dir")] if "--config-dir" in for_recipes else for_recipes
    value = folder if re.fullmatch(r"[\w./-]+", folder) else quoted(folder)
    prompted = run.parts.prompt.opening() is not None  # else a chat template cannot do what the prompt does
    export = ["export", folder, f"{folder}/exported", *([] if prompted else ["--without-prompt"])]
    return {
        **({"talk to it": to_paste("chat", folder, flags=flags)} if run.parts.method.is_generative else {}),
        "measure it again": to_paste("evaluate", folder, flags=flags),
        "export it for plain transformers": to_paste(*export, flags=flags),
        "go on from it": to_paste("model=run", f"model.path={value}", flags=for_recipes),
    }


def _ledger(seen: TokenLedger) -> RecordedLedger:
    tokens = [LedgerToken(text=entry.text, role=entry.role, weight=entry.weight) for entry in seen.tokens]
    return RecordedLedger(where=seen.where, tokens=tokens)
