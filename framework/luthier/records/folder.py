"""The folder of one run: its paths, its lock, and the small files about the run.

recipe.yaml (as given)   resolved.yaml   env.json   metrics.jsonl   digests.jsonl   validations.jsonl   events.jsonl
report.html   MODEL_CARD.md   checkpoints/step-*/MANIFEST.json   artifact/   scores/   record.json   score.json   lock
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from luthier.disk.redaction import redact
from luthier.disk.seals import read_sealed_json, write_sealed_json
from luthier.disk.writing import write_json, write_text
from luthier.errors import ResourceError
from luthier.records.lock import RunLock


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths of a run, and the small files that it writes about itself, through the one door to the disk."""

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
        """The configuration that the folder's run carried out; empty before there was one, or where it is not whole."""
        try:
            found: Any = OmegaConf.to_container(OmegaConf.load(self.resolved)) if self.resolved.is_file() else {}
        except (OSError, ValueError, RecursionError, yaml.YAMLError, OmegaConfBaseException):
            return {}
        return found if isinstance(found, dict) else {}

    def write_recipe(self, text: str) -> None:
        """Write `recipe.yaml`: the recipe as it was given, with its comments, secrets redacted."""
        write_text(self.recipe, text)

    def write_resolved(self, config: Mapping[str, Any]) -> None:
        """Write `resolved.yaml`: the composed and resolved configuration in plain containers, secrets redacted."""
        write_text(self.resolved, yaml.safe_dump(redact(config), sort_keys=False, allow_unicode=True, width=120))

    def write_environment(self, facts: Mapping[str, Any]) -> None:
        """The facts of `environment.describe`."""
        write_json(self.environment, facts, sort_keys=True)

    def write_score(self, value: float, name: str = "score") -> None:
        """Write `score.json`: the one number by which a sweep compares runs."""
        write_sealed_json(self.score, {"name": name, "score": float(value)}, indent=None)

    def read_score(self) -> float | None:
        """The score that a finished run left; None where there is none, or no whole one."""
        try:
            return float(read_sealed_json(self.score, unsealed_keys=("name", "score"))["score"])
        except (ValueError, KeyError, TypeError):
            return None
