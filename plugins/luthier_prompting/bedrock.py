"""The files of Amazon Bedrock's prompt optimisation: its input as data, its result file from a run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.api import (
    DataError,
    Demonstration,
    Example,
    Format,
    JsonLines,
    PromptCompletion,
    RecipeError,
    Record,
    RecordsSource,
    file_state,
    local_path,
    nearest,
    sha256_of_file,
)

VERSION = "bedrock-2026-05-14"
RESULTS = "advanced_prompt_optimization_results.jsonl"
_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(kw_only=True)
class BedrockTemplates(RecordsSource):
    """Read the evaluation samples of one prompt template in an input file of Bedrock's prompt optimisation.

    Each sample becomes an example whose question is the template filled with its `inputVariables` and whose answer is
    its `referenceResponse`; the columns `template_id` and `prompt_template` stay. `template` is the `templateId`, which
    may be left out where the file has only one. Bedrock's settings of its own evaluation are ignored, and samples with
    images are refused.
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
                raise DataError("The sample has images or files, which are not supported.", where=where)
            pairs = (pair for variables in sample.get("inputVariables") or () for pair in variables.items())
            values = {name: str(value) for name, value in pairs}
            yield Record(
                record.file,
                record.line,
                {
                    "prompt": fill_template(row["promptTemplate"], values, where),
                    "completion": sample.get("referenceResponse"),
                    "template_id": row["templateId"],
                    "prompt_template": row["promptTemplate"],
                },
            )

    def _template(self) -> Record:
        templates: dict[str, Record] = {}
        for record in JsonLines().records(self._path, self.file):
            if record.row is None:
                raise record.fault or DataError("The line cannot be read.", where=record.where)
            if record.row.get("version") != VERSION:
                version = record.row.get("version")
                raise DataError(f"The line has the version {version!r}; only {VERSION!r} is read.", where=record.where)
            for key in ("templateId", "promptTemplate"):
                if not isinstance(record.row.get(key), str):
                    raise DataError(f"The line has no `{key}`.", where=record.where)
            templates[record.row["templateId"]] = record
        name = self.template if self.template is not None else next(iter(templates), "")
        if self.template is None and len(templates) > 1:
            raise RecipeError(
                f"The file holds {len(templates)} templates.",
                where="data.template",
                hint=f"Name one: {', '.join(templates)}.",
            )
        if name not in templates:
            hint = nearest(name, templates, "There are")
            raise RecipeError(f"There is no template {name!r} in {self.file}.", where="data.template", hint=hint)
        return templates[name]

    @property
    def _path(self) -> Path:
        return local_path(self.file)

    def files_now(self) -> Any:
        return [str(self._path.absolute()), *file_state(self._path)]

    def origin(self) -> dict[str, Any]:
        file = {"name": self.file, "sha256": sha256_of_file(self._path), "bytes": self._path.stat().st_size}
        return {"files": [file]}


def fill_template(template: str, values: dict[str, str], where: str) -> str:
    """The template with each `{{variable}}` replaced by its value; DataError for one without a value."""
    if missing := [name for name in _VARIABLE.findall(template) if name not in values]:
        raise DataError(f"The sample has no value for {missing[0]!r}.", where=where)
    return _VARIABLE.sub(lambda match: values[match[1]], template)


def result_line(
    example: Example, system: str, shown: Sequence[Demonstration], model: str, trials: Sequence[dict[str, Any]]
) -> str:
    """A line of Bedrock's result file: the original template, the optimised one, and the scores of all trials.

    `promptTemplateId` and, for each model, `modelId`, `status` and `optimizedPromptTemplate` are the names that Bedrock
    documents; the others are ours.
    """
    examples = [f"{demonstration.question}\n{demonstration.answer}" for demonstration in shown]
    template = "\n\n".join(filter(None, [system, *examples, example["prompt_template"]]))
    result = {
        "modelId": model,
        "status": "COMPLETED",
        "originalPromptTemplate": example["prompt_template"],
        "optimizedPromptTemplate": template,
        "evaluationScores": trials,
    }
    return json.dumps({"promptTemplateId": example["template_id"], "promptOptimizationResults": [result]}) + "\n"
