"""The record of a run. The report, the table of the terminal and the model card are views of it.

Unknown facts stay empty, and no view mentions them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from luthier.contracts.report_section import ReportSection
from luthier.contracts.scores import Score
from luthier.disk.reading import read_json
from luthier.disk.redaction import redact
from luthier.disk.seals import SEAL, unsealed, write_sealed_json
from luthier.errors import DataError


@dataclass(kw_only=True)
class ModelFacts:
    """Which network was customised, and what the result is under."""

    name: str = ""  # as a person would say it: SmolLM2-135M-Instruct
    base: str = ""  # its id on a hub, where it has one; the card's `base_model`
    architecture: str = ""  # LlamaForCausalLM
    parameters: int | None = None  # all of them
    trained: int | None = None  # those that could move
    other_modalities: int | None = None  # those of towers and projectors that no text passes through
    other_parts: list[str] = field(default_factory=list)  # the names of these
    licence: str = ""  # an SPDX identifier: apache-2.0
    note: str = ""  # what else a reader must know: "weights were de-quantised from Q4_1"
    lineage: dict[str, str] = field(default_factory=dict)  # kind, revision, sha256, …


@dataclass(kw_only=True)
class TrainingFacts:
    """How the weights moved. Empty where none did."""

    steps: int | None = None  # optimizer steps done
    epochs: float | None = None
    tokens: int | None = None  # seen, padding aside
    tokens_per_second: float | None = None  # padding aside, over the wall clock of training
    seconds: float | None = None  # wall clock of training
    productive: float | None = None  # the share of it spent in steps, 0 to 1
    peak_memory: int | None = None  # bytes, of the process or the device
    joules: float | None = None  # used by the machine's processors while training, where that can be read
    device: str = ""  # "cpu, 2 threads"; "NVIDIA H100"
    precision: str = ""  # "bfloat16 autocast over float32 weights"
    resumed_from: str = ""  # the checkpoint, where the run was continued
    stopped: str = ""  # after which step and why, where it ended before its last one
    validations: int | None = None  # how often the validation split was looked at
    monitor: str = ""  # the value that decided: validation_loss, or a score on the validation split
    last_value: float | None = None  # of the monitored value, at the last step
    best_step: int | None = None  # the step of which the artifact is, where the best checkpoint is kept
    best_value: float | None = None  # of the monitored value, at that step
    kept: str = ""  # the same in words
    optimizer: dict[str, str] = field(default_factory=dict)  # name, learning rate, schedule, batch, …


@dataclass(kw_only=True)
class DataFacts:
    """One source of examples."""

    name: str
    licence: str = ""
    digest: str = ""  # of the examples, so that a later run knows whether it saw the same
    counts: dict[str, int] = field(default_factory=dict)  # read, deduplicated, skipped, quarantined, truncated, …


@dataclass(kw_only=True)
class ScoreComparison:
    """One score before and after; one of the two alone where only that was measured."""

    name: str
    before: Score | None = None
    after: Score | None = None
    change: Score | None = None
    verdict: str = ""  # better, worse, not distinguishable


@dataclass(kw_only=True)
class Sample:
    """One conversation and what was written for it before and after."""

    conversation: list[dict[str, str]]  # role and content of each message
    reference: str = ""
    before: str | None = None
    after: str | None = None


@dataclass(kw_only=True)
class LedgerToken:
    """One token as the loss saw it."""

    text: str
    role: str = ""
    weight: float = 0.0


@dataclass(kw_only=True)
class RecordedLedger:
    """The tokens of one training example."""

    where: str = ""  # file:line
    tokens: list[LedgerToken] = field(default_factory=list)


@dataclass(kw_only=True)
class ExpertLoad:
    """How the tokens of a training were spread over the experts of one layer."""

    layer: str  # its name in the network
    shares: list[float] = field(default_factory=list)  # of the layer's tokens, by expert; they add up to 1
    variation: float = 0.0  # their coefficient of variation


@dataclass(kw_only=True)
class ProofFacts:
    """How far the logits of what was written, or merged, are from those of the network in memory."""

    what: str  # Artifact; Start (the merged weights of an earlier run); Export to FOLDER
    reader: str = ""  # who read it back: plain transformers, plain PEFT, luthier
    logits: float | None = None  # the largest difference
    nats: float | None = None  # of log-probabilities; None for a network that gives scores
    mean: float | None = None  # of the differences of log-probabilities, or of scores
    changed: float | None = None  # the mean change by the adapter that was merged
    tokens: int | None = None  # that were compared
    texts: str = ""  # "3 texts of the split test and token ids drawn by seed"
    unproved: str = ""  # why nobody read it back, where that is so


Points = list[tuple[int, float | None]]
"""(step, value); None where the value was not finite."""


@dataclass(kw_only=True)
class RunRecord:
    """One run. `save` and `load` keep it as JSON."""

    name: str  # of the run
    recipe: str = ""  # its name
    purpose: str = ""  # its first line
    started: str = ""  # ISO 8601
    seconds: float | None = None  # from start to report
    seed: int | None = None  # of data order, dropout, new weights and sampling
    command: str = ""  # that does it again
    answers: dict[str, str] = field(default_factory=dict)  # question: answer
    resolved: str = ""  # the whole recipe, every setting written out, as YAML
    commit: str = ""  # of luthier, or of the working folder
    model: ModelFacts = field(default_factory=ModelFacts)  # the network that was customised
    training: TrainingFacts = field(default_factory=TrainingFacts)  # steps, speed, memory
    method: dict[str, str] = field(default_factory=dict)  # what the method says of itself, such as of its memory
    data: list[DataFacts] = field(default_factory=list)  # each source of examples
    splits: dict[str, int] = field(default_factory=dict)  # examples in train, validation, test
    curves: dict[str, Points] = field(default_factory=dict)  # loss, validation_loss, learning_rate, gradient_norm, …
    experts: list[ExpertLoad] = field(default_factory=list)  # of a mixture of experts, by layer
    comparisons: list[ScoreComparison] = field(default_factory=list)  # scores before and after
    confidence: float = 0.95  # of their intervals
    evaluated: dict[str, int] = field(default_factory=dict)  # what the evaluation counted
    samples: list[Sample] = field(default_factory=list)  # generated answers before and after
    ledger: RecordedLedger = field(default_factory=RecordedLedger)  # one training example
    sections: list[ReportSection] = field(default_factory=list)  # of plugins
    versions: dict[str, str] = field(default_factory=dict)  # of luthier, its plugins and libraries, Python, the system
    warnings: list[str] = field(default_factory=list)  # whatever a reader must not miss
    labels: list[str] = field(default_factory=list)  # of a classifier or tagger, in the order of its outputs
    problem: str = ""  # what its outputs are, as transformers names it
    is_generative: Annotated[bool, Field(alias="speaks")] = True  # a language model, no reward model
    artifact: str = ""  # its folder, relative to the run's
    artifact_kind: str = ""  # adapter or weights
    proofs: list[ProofFacts] = field(default_factory=list)  # of what was written, and of what the run started from
    next_commands: dict[str, str] = field(default_factory=dict)  # what it does: the command, with this run's name

    def as_json(self) -> dict[str, Any]:
        """Plain values, for scripts."""
        plain: dict[str, Any] = _ADAPTER.dump_python(self, mode="json", by_alias=True)
        return plain

    def save(self, file: Path) -> None:
        """Replace the file in one step: where a record is, it is whole, and the run finished."""
        write_sealed_json(file, json.loads(_ADAPTER.dump_json(self, by_alias=True)), indent=2)

    @property
    def without_secrets(self) -> RunRecord:
        """The same, as every view may show it."""
        return _ADAPTER.validate_python(redact(self.as_json()))

    @classmethod
    def load(cls, file: Path) -> RunRecord:
        """Read what `save` wrote; DataError where it is no run record, or was changed after it was written."""
        if file.exists() and not file.is_file():
            raise DataError("The record of the run is no file.", where=str(file))
        found = read_json(file)
        if SEAL in found and not (found := unsealed(found)):  # one of luthier 0.1 has no seal
            raise DataError("The record of the run was changed after it was written.", where=str(file))
        try:
            return _ADAPTER.validate_json(json.dumps(found) if found else file.read_bytes())
        except (ValidationError, OSError) as error:
            raise DataError(f"This is no record of a run: {str(error).splitlines()[0]}.", where=str(file)) from error


_ADAPTER = TypeAdapter(RunRecord)
