"""The input of Bedrock's prompt optimisation: a template a line, with its evaluation samples."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from luthier.api import DataError
from luthier_bedrock.files.conversation import Row, turns_of
from luthier_bedrock.files.row_by_row import CARRIED, Located, Written

VERSION = "bedrock-2026-05-14"
_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_SAMPLES, _ID, _TEMPLATE = "evaluationSamples", "templateId", "promptTemplate"


class Optimization:
    """A row for each sample: the template filled with its variables, and its reference as the answer.

    Rows have the columns `template_id`, `prompt_template` and `variables`; rows that follow each other with the same
    template are one line.
    """

    name = "optimization"
    purpose = "prompt optimisation"

    def recognises(self, row: Mapping[str, Any]) -> bool:
        """Whether a line is a template with samples."""
        return _TEMPLATE in row and _SAMPLES in row

    def rows_of(self, line: Row) -> list[Row]:
        """A row for each sample of a template; DataError for a line without samples, and for a missing variable."""
        for key in (_ID, _TEMPLATE):
            if not isinstance(line.get(key), str):
                raise DataError(f"The line has no text in `{key}`.")
        samples = line.get(_SAMPLES)
        if not isinstance(samples, list) or not all(isinstance(sample, dict) for sample in samples) or not samples:
            raise DataError(f"`{_SAMPLES}` is no list with samples.")
        rest = {name: value for name, value in line.items() if name != _SAMPLES}
        return [self._row(line, sample, rest, f"{_SAMPLES}[{n}]") for n, sample in enumerate(samples)]

    def lines_of(self, rows: Iterable[Located]) -> Iterator[Written]:
        """A line for the rows of each template."""
        for _, group in groupby(
            rows, key=lambda located: (located.row.get("template_id"), located.row.get("prompt_template"))
        ):
            together = list(group)
            samples, lost = [], []
            for located in together:
                sample, missing = self._sample(located)
                samples.append(sample)
                lost += missing
            first = together[0].row
            carried = first.get(CARRIED)
            of_line = {_ID: first["template_id"], _TEMPLATE: first["prompt_template"]}
            whole = carried.get("line") if isinstance(carried, Mapping) else None
            same = isinstance(whole, Mapping) and {key: whole.get(key) for key in of_line} == of_line
            line = {**(whole if same and whole else {"version": VERSION, **of_line}), _SAMPLES: samples}
            yield Written(line, together[0].where, list(dict.fromkeys(lost)))

    def _row(self, line: Row, sample: Row, rest: Row, at: str) -> Row:
        pairs = sample.get("inputVariables") or []
        if not isinstance(pairs, list) or not all(isinstance(pair, dict) for pair in pairs):
            raise DataError(f"`{at}.inputVariables` is no list of objects.")
        variables = {name: value for pair in pairs for name, value in pair.items()}
        template = line[_TEMPLATE]
        if missing := [name for name in _VARIABLE.findall(template) if name not in variables]:
            raise DataError(f"`{at}` has no value for {missing[0]!r}.")
        question = _VARIABLE.sub(lambda match: str(variables[match[1]]), template)
        turns = [{"role": "user", "content": question}]
        if isinstance(sample.get("referenceResponse"), str):
            turns.append({"role": "assistant", "content": sample["referenceResponse"]})
        row = {"messages": turns, "template_id": line[_ID], "prompt_template": template, "variables": variables}
        return {**row, CARRIED: {"line": rest, "sample": sample}}

    def _sample(self, located: Located) -> tuple[Row, list[str]]:
        row, where = located.row, located.where
        for column in ("template_id", "prompt_template"):
            if not isinstance(row.get(column), str):
                raise DataError(f"The row has no text in `{column}`, which a template needs.", where=where)
        variables = row.get("variables")
        if not isinstance(variables, Mapping):
            raise DataError("The row has no object `variables` with the values of its template.", where=where)
        said = {name: value for name, value in row.items() if name != CARRIED}
        carried = row.get(CARRIED)
        sample = carried.get("sample") if isinstance(carried, Mapping) else None
        line = {_ID: row["template_id"], _TEMPLATE: row["prompt_template"]}
        try:
            if isinstance(sample, dict):
                read = self._row(line, sample, {}, "sample")
                if {name: value for name, value in read.items() if name != CARRIED} == said:
                    return sample, []
            answer = next((turn.get("content") for turn in turns_of(row) if turn.get("role") == "assistant"), None)
            made = {"inputVariables": [{name: str(value)} for name, value in variables.items()]}
            made |= {} if answer is None else {"referenceResponse": answer}
            read = self._row(line, made, {}, "sample")
        except DataError as fault:
            fault.where = where
            raise
        lost = [name for name in said if said[name] != read.get(name) and name != "variables"]
        return made, lost
