"""The files of Amazon Bedrock's prompt optimisation: its input as data, its results as a run's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.api import (
    DataError,
    Example,
    Format,
    JsonLines,
    PromptCompletion,
    RecipeError,
    Record,
    RecordsSource,
    file_state,
    nearest,
    sha256_of_file,
)
from luthier_prompting.demonstration import Demonstration

VERSION = "bedrock-2026-05-14"
RESULTS = "advanced_prompt_optimization_results.jsonl"
_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(kw_only=True)
class BedrockTemplates(RecordsSource):
    """The evaluation samples of one prompt template in an input file of Bedrock's prompt optimisation.

    Each sample becomes an example whose question is the template filled with its `inputVariables` and whose answer is
    its `referenceResponse`; the columns `template_id` and `prompt_template` stay. `template` is the `templateId`, which
    may be left out where there is one. What steers Bedrock's own judging is not read, and samples with pictures are
    refused.
    """

    file: str
    template: str | None = None
    format: Format | str = field(default_factory=PromptCompletion)

    def records(self) -> Iterator[Record]:
        record = self._template()
        row = record.row or {}
        for number, sample in enumerate(row.get("evaluationSamples") or (), 1):
            where = f"{record.where}, sample {number}"
            if sample.get("inputVariablesMultimodal"):
                raise DataError("A sample has pictures or files, which this model does not see.", where=where)
            known = {name: str(value) for each in sample.get("inputVariables") or () for name, value in each.items()}
            yield Record(
                record.file,
                record.line,
                {
                    "prompt": filled(row["promptTemplate"], known, where),
                    "completion": sample.get("referenceResponse"),
                    "template_id": row["templateId"],
                    "prompt_template": row["promptTemplate"],
                },
            )

    def _template(self) -> Record:
        found: dict[str, Record] = {}
        for record in JsonLines().records(self._path, self.file):
            if record.row is None:
                raise record.fault or DataError("The line cannot be read.", where=record.where)
            if record.row.get("version") != VERSION:
                told = f"The line is of the version {record.row.get('version')!r}, and {VERSION!r} is read."
                raise DataError(told, where=record.where)
            for key in ("templateId", "promptTemplate"):
                if not isinstance(record.row.get(key), str):
                    raise DataError(f"The line has no `{key}`.", where=record.where)
            found[record.row["templateId"]] = record
        name = self.template if self.template is not None else next(iter(found), "")
        if self.template is None and len(found) > 1:
            raise RecipeError(
                f"The file holds {len(found)} templates.", where="data.template", hint=f"Name one: {', '.join(found)}."
            )
        if name not in found:
            hint = nearest(name, found, "There are")
            raise RecipeError(f"There is no template {name!r} in {self.file}.", where="data.template", hint=hint)
        return found[name]

    @property
    def _path(self) -> Path:
        return Path(self.file).expanduser()

    def files_now(self) -> Any:
        return [str(self._path.absolute()), *file_state(self._path)]

    def origin(self) -> dict[str, Any]:
        file = {"name": self.file, "sha256": sha256_of_file(self._path), "bytes": self._path.stat().st_size}
        return {"files": [file]}


def filled(template: str, known: dict[str, str], where: str) -> str:
    """The template with each `{{variable}}` in place; DataError for one without a value."""
    if missing := [name for name in _VARIABLE.findall(template) if name not in known]:
        raise DataError(f"The sample has no value for {missing[0]!r}.", where=where)
    return _VARIABLE.sub(lambda found: known[found[1]], template)


def results(
    example: Example, system: str, shown: Sequence[Demonstration], model: str, trials: Sequence[dict[str, Any]]
) -> str:
    """A line of Bedrock's result file: the template as it was and as it was found to be best, and what was scored.

    Of what Bedrock documents by name it has `promptTemplateId` and for each model `modelId`, `status` and
    `optimizedPromptTemplate`; the names of the rest are ours.
    """
    examples = [f"{one.question}\n{one.answer}" for one in shown]
    template = "\n\n".join(filter(None, [system, *examples, example["prompt_template"]]))
    told = {
        "modelId": model,
        "status": "COMPLETED",
        "originalPromptTemplate": example["prompt_template"],
        "optimizedPromptTemplate": template,
        "evaluationScores": trials,
    }
    return json.dumps({"promptTemplateId": example["template_id"], "promptOptimizationResults": [told]}) + "\n"
