"""Validity under a JSON schema, as a reward."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from luthier.api import Messages, Needs, RecipeError, column_of
from luthier_reward.rewards.reading import COLUMN, ColumnReward, is_json, parsed_json


class JsonSchema(ColumnReward):
    """1 for JSON that is valid under a schema (draft 2020-12), `parses` for other JSON, else 0.

    `column` is the column of the example with the schema, in place of `schema`. JSON may be in a ``` block. Remote
    references of a schema are not fetched.
    """

    needs: ClassVar[Needs] = {"jsonschema": "luthier[reward]"}

    def __init__(self, *, schema: dict[str, Any] | None = None, column: str | None = None, parses: float = 0.0) -> None:
        if (schema is None) == (column is None):
            raise RecipeError(
                "A schema is needed, or the column that holds it.",
                where="method.reward.schema",
                hint="Set 'method.reward.schema={type: object, …}', or method.reward.column.",
            )
        self.column, self.parses = column, parses
        self.schema = schema
        if schema is not None:
            _validator(schema)

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float]:
        own = None if self.column is None else _read(column_of(example, self.column, setting=COLUMN))
        validator = _validator(self.schema if own is None else own)

        def score(answer: str) -> float:
            try:
                value = parsed_json(answer)
            except (ValueError, RecursionError):
                return 0.0
            return 1.0 if validator.is_valid(value) else self.parses

        return [score(answer) for answer in answers]

    def formed(self, answer: str) -> bool:
        return is_json(answer)


def _read(schema: Any) -> Any:
    return json.loads(schema) if isinstance(schema, str) else schema


def _validator(schema: Any) -> Any:
    from jsonschema import Draft202012Validator, SchemaError
    from referencing import Registry

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise RecipeError(f"This is not a valid JSON schema: {error.message}.", where="method.reward.schema") from error
    return Draft202012Validator(schema, registry=Registry())
