"""The JSON Schema of a recipe, for editors: a question has the settings of the answer that the file gives to it."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from luthier.config import option_file, signatures
from luthier.config.catalog import USER, Catalog, CatalogAnswer
from luthier.config.checks import PARTS, STAGES
from luthier.config.compose import ROOT_FILE
from luthier.config.option_file import Option
from luthier.config.settings import REQUIRED, Setting
from luthier.config.type_hints import Part, fits, is_enum
from luthier.config.type_words import in_json, ways_to_write
from luthier.errors import LuthierError

DRAFT = "http://json-schema.org/draft-07/schema#"
_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean", None: "null", NoneType: "null"}


def recipe_schema(catalog: Catalog) -> dict[str, Any]:
    """Every setting with type, default and description; keys that nobody knows are refused."""
    root = catalog.answers[".", ROOT_FILE]
    questions = [question for question in catalog.questions() if question.split("/")[0] in PARTS]
    return {
        "$schema": DRAFT,
        "title": "A luthier recipe",
        "type": "object",
        "properties": {
            "defaults": _defaults(catalog, questions),
            **{part: {"type": "object"} for part in PARTS},
            **dict(_root_settings(root)),
            "batch": _option(Option.inside(root, "batch")),
            "hydra": {"type": "object", "properties": {"sweeper": {"type": "object"}}, "additionalProperties": False},
        },
        "additionalProperties": False,
        "allOf": list(_conditions(catalog, questions, Option.read(root, catalog))),
        "definitions": {
            "reference": {"type": "string", "pattern": r"^\$\{.+\}$", "description": "the value of another setting"},
            **{str(answer): _described(answer, catalog) for answer in catalog if answer.question in questions},
        },
    }


def _described(answer: CatalogAnswer, catalog: Catalog) -> dict[str, Any]:
    """The settings of an answer; what a plugin ships that cannot be read costs the others nothing, and says so."""
    try:
        return _option(Option.read(answer, catalog))
    except LuthierError as error:
        if answer.owner == USER:
            raise
        return {"type": "object", "description": f"It cannot be used: {error}"}


def _defaults(catalog: Catalog, questions: list[str]) -> dict[str, Any]:
    """`override /model: tiny` changes an answer, `/data@data.sources.mine: jsonl` adds one."""
    override = {
        f"override /{question}": {"enum": catalog.names(question), "description": _names(question, catalog)}
        for question in questions
    }
    added = {f"^/{question}@[\\w.]+$": {"enum": catalog.names(question)} for question in questions}
    mapping = {
        "type": "object",
        "properties": override,
        "patternProperties": added,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    return {
        "description": "The answers that differ from config.yaml's.",
        "type": "array",
        "items": {"anyOf": [mapping, {"const": "_self_"}]},
    }


def _names(question: str, catalog: Catalog) -> str:
    answers = [catalog.answers[question, name] for name in catalog.names(question)]
    return "\n".join(f"{answer.name}: {answer.headline}" for answer in answers)


def _root_settings(root: CatalogAnswer) -> Iterator[tuple[str, dict[str, Any]]]:
    tree = root.tree
    assert tree is not None
    for name, setting in option_file.entries(tree, root.text, root.file):
        if name not in {"defaults", "hydra", *PARTS}:
            shape: dict[str, Any] = {"default": setting.value, "description": setting.comment}
            if name == "stages":
                shape |= {"type": "array", "items": {"enum": list(STAGES)}}
            elif setting.value is not None:
                shape |= {"type": _TYPES[type(setting.value)]}
            yield name, shape


def _conditions(catalog: Catalog, questions: list[str], root: Option) -> Iterator[dict[str, Any]]:
    """If the defaults give this answer (or say nothing, and it is config.yaml's), the question has these settings."""
    first = set(root.nested.values())
    for question in questions:
        for name in catalog.names(question):
            settings = _inside(question.split("/"), {"$ref": f"#/definitions/{question.replace('/', '~1')}={name}"})
            yield {"if": _says(question, name), "then": settings}
            if (question, name) in first:
                yield {"if": {"not": _says(question, None)}, "then": settings}


def _says(question: str, name: str | None) -> dict[str, Any]:
    key = f"override /{question}"
    item: dict[str, Any] = {"required": [key]}
    if name is not None:
        item["properties"] = {key: {"const": name}}
    return {"required": ["defaults"], "properties": {"defaults": {"contains": item}}}


def _inside(path: list[str], shape: dict[str, Any]) -> dict[str, Any]:
    for word in reversed(path):
        shape = {"properties": {word: shape}}
    return shape


def _option(option: Option) -> dict[str, Any]:
    signature = signatures.signature(option.target) if option.target else None
    shapes = {name: _setting(setting, option) for name, setting in (signature.settings if signature else {}).items()}
    nested: dict[str, Any] = {key.partition(".")[0]: {} for key in option.nested}
    return {
        "description": option.headline,
        "properties": {**nested, **shapes},
        "additionalProperties": bool(signature and signature.open),
    }


def _setting(setting: Setting, option: Option) -> dict[str, Any]:
    written = option.written.get(setting.name)
    default = written.value if written else setting.default
    shape = _shape(setting.type)
    shown = written or fits(default, setting.type) or not default
    if default != REQUIRED and shown and in_json(default) is default:
        shape["default"] = default
    if written and written.comment:
        shape["description"] = written.comment
    return shape


def _shape(expected: Any) -> dict[str, Any]:
    """The schema of a type; a whole interpolation (`${seed}`) may stand for anything."""
    plain = _plain(expected)
    if plain in ({}, {"type": "string"}):
        return plain
    return {"anyOf": [plain, {"$ref": "#/definitions/reference"}]}


def _plain(expected: Any) -> dict[str, Any]:
    origin, arguments = get_origin(expected), get_args(expected)
    if origin in (Union, UnionType):
        return {"anyOf": [_plain(one) for one in arguments]}
    if origin is Literal or is_enum(expected):
        listed = [one for value in arguments or expected for one in ways_to_write(value) if in_json(one) is one]
        return {"enum": listed} if listed else {}
    if origin is list:
        return {"type": "array", "items": _plain(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _plain(arguments[-1]), **_keys(arguments[0])}
    if expected is Part:
        return {"type": "object"}
    return {"type": _TYPES[expected]} if expected in _TYPES else {}


def _keys(expected: Any) -> dict[str, Any]:
    """What the keys of a mapping may be, which are text in JSON."""
    listed = [str(one) for one in _plain(expected).get("enum", [])]
    if listed:
        return {"propertyNames": {"enum": listed}}
    return {"propertyNames": {"pattern": r"^[-+]?\d+$"}} if expected is int else {}
