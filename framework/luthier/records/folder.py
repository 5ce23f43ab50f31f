"""The folder of one run: its paths, its lock, and the small files about the run.

recipe.yaml (as given)   resolved.yaml   env.json   metrics.jsonl   digests.jsonl   validations.jsonl   events.jsonl
report.html   MODEL_CARD.md   checkpoints/step-*/MANIFEST.json   artifact/   scores/   record.json   score.json   lock
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from luthier.errors import ResourceError
from luthier.records.lock import RunLock
from luthier.records.redaction import redact, redact_text


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths of a run, and the small files that it writes about itself; secrets are redacted on the way."""

    path: Path
    """The folder."""

    @property
    def recipe(self) -> Path:
        """`recipe.yaml`: the recipe as it was given."""
        return self.path / "recipe.yaml"

    @property
    def resolved(self) -> Path:
        """`resolved.yaml`: the resolved recipe, every setting written out."""
        return self.path / "resolved.yaml"

    @property
    def environment(self) -> Path:
        """`env.json`: versions, hardware and commit of the run."""
        return self.path / "env.json"

    @property
    def metrics(self) -> Path:
        """`metrics.jsonl`: one line for each optimizer step."""
        return self.path / "metrics.jsonl"

    @property
    def digests(self) -> Path:
        """`digests.jsonl`: for each optimizer step, digests of its data and of the random generators."""
        return self.path / "digests.jsonl"

    @property
    def events(self) -> Path:
        """`events.jsonl`: what happened, with times."""
        return self.path / "events.jsonl"

    @property
    def validations(self) -> Path:
        """`validations.jsonl`: one line for each validation of the training."""
        return self.path / "validations.jsonl"

    @property
    def report(self) -> Path:
        """`report.html`."""
        return self.path / "report.html"

    @property
    def card(self) -> Path:
        """`MODEL_CARD.md`."""
        return self.path / "MODEL_CARD.md"

    @property
    def checkpoints(self) -> Path:
        """`checkpoints/`: a folder for each kept step."""
        return self.path / "checkpoints"

    @property
    def artifact(self) -> Path:
        """`artifact/`: the customised model."""
        return self.path / "artifact"

    @property
    def record(self) -> Path:
        """`record.json`: all that the report shows."""
        return self.path / "record.json"

    @property
    def scores(self) -> Path:
        """`scores/`: the statistics of each evaluation."""
        return self.path / "scores"

    @property
    def score(self) -> Path:
        """`score.json`: the one number by which sweeps compare runs."""
        return self.path / "score.json"

    @property
    def lock_file(self) -> Path:
        """`lock`: held by the process that owns the run."""
        return self.path / "lock"

    def lock(self) -> RunLock:
        """Own the folder inside a `with`; RecipeError when another living process does."""
        self.create()
        return RunLock(self.lock_file)

    def create(self) -> None:
        """Make the folder; ResourceError where that is not possible."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResourceError(
                f"The run's folder cannot be made: {error.strerror}.",
                where=str(self.path),
                hint="Choose another one with hydra.run.dir=….",
            ) from error

    def read_resolved(self) -> dict[str, Any]:
        """The configuration that the folder's run carried out; empty before there was one."""
        if not self.resolved.is_file():
            return {}
        return OmegaConf.to_container(OmegaConf.load(self.resolved))  # type: ignore[return-value]

    def write_recipe(self, text: str) -> None:
        """Write `recipe.yaml`: the recipe as it was given, with its comments, secrets redacted."""
        write_text(self.recipe, redact_text(text))

    def write_resolved(self, config: Mapping[str, Any]) -> None:
        """Write `resolved.yaml`: the composed and resolved configuration in plain containers, secrets redacted."""
        write_text(self.resolved, yaml.safe_dump(redact(config), sort_keys=False, allow_unicode=True, width=120))

    def write_environment(self, facts: Mapping[str, Any]) -> None:
        """The facts of `environment.describe`."""
        write_text(self.environment, json.dumps(redact(facts), indent=1, sort_keys=True) + "\n")

    def write_score(self, value: float, name: str = "score") -> None:
        """Write `score.json`: the one number by which a sweep compares runs."""
        write_text(self.score, json.dumps({"name": name, "score": float(value)}) + "\n")

    def read_score(self) -> float | None:
        """The score that a finished run left; None where there is none."""
        try:
            return float(json.loads(self.score.read_text(encoding="utf-8"))["score"])
        except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
            return None


def write_text(path: Path, text: str) -> None:
    """Replace a small file in one step, so that no reader sees half of it."""
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
