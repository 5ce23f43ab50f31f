"""Trainings that ran elsewhere, shown beside a comparison by what their records have: they rank with nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.errors import DataError
from luthier.records.folder import RunFolder
from luthier.reporting.figures import format_number
from luthier.reporting.record import RunRecord

HEAD = ("beside them", "steps", "loss", "validation loss", "")
NOTE = "Beside them: not measured on these examples, so that nothing ranks them; losses are of their own tokens."


@dataclass(frozen=True)
class Beside:
    """The folder of a record, such as `luthier bedrock results` writes, and the record."""

    folder: Path
    record: RunRecord

    @classmethod
    def read(cls, folder: str) -> Beside:
        """Read a record; DataError where the folder has none."""
        file = RunFolder(Path(folder)).record
        if not file.exists():
            raise DataError("The folder holds no record of a run.", where=folder, hint="Name the folder of a run.")
        return cls(Path(folder), RunRecord.load(file))

    @property
    def row(self) -> tuple[str, ...]:
        """Name, steps, the last loss and validation loss, and the base of the model."""
        steps = self.record.training.steps
        losses = [self._last(name) for name in ("loss", "validation_loss")]
        shown = ["-" if loss is None else format_number(loss) for loss in losses]
        return (self.record.name, "-" if steps is None else f"{steps:,}", *shown, self.record.model.name)

    def as_json(self) -> dict[str, Any]:
        """Plain values, for scripts."""
        return {
            "name": self.record.name,
            "folder": str(self.folder),
            "model": self.record.model.name,
            "steps": self.record.training.steps,
            "loss": self._last("loss"),
            "validation_loss": self._last("validation_loss"),
        }

    def _last(self, curve: str) -> float | None:
        points = self.record.curves.get(curve) or [(0, None)]
        return points[-1][1]
