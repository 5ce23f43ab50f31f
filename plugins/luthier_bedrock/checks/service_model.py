"""botocore's description of the service: its own validator, and what that leaves out (values, lengths, patterns)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from luthier.api import imported

NEEDED = "luthier[bedrock]"
WHO = "Reading the service model of Amazon Bedrock"


@cache
def shape_of(service: str, operation: str) -> Any:
    """The shape of an operation's input; RecipeError where botocore is not installed."""
    loaders = imported("botocore.loaders", NEEDED, WHO)
    model = imported("botocore.model", NEEDED, WHO)
    described = loaders.Loader().load_service_model(service, "service-2")
    return model.ServiceModel(described, service).operation_model(operation).input_shape


def version() -> str:
    """Of botocore."""
    return str(imported("botocore", NEEDED, WHO).__version__)


def member(shape: Any, *names: str) -> Any:
    """A member of a structure, and of that, and so on."""
    for name in names:
        shape = shape.members[name]
    return shape


def faults(shape: Any, value: Any, at: str) -> list[str]:
    """What the service would refuse, a sentence each: botocore's ParamValidator first, then the model's constraints."""
    validator = imported("botocore.validate", NEEDED, WHO).ParamValidator()
    report = str(validator.validate(value, shape).generate_report())
    found = [f"`{at}`: {line.strip()}" for line in report.splitlines() if line.strip()]
    return found or list(_beyond(shape, value, at))


def _beyond(shape: Any, value: Any, at: str) -> Iterator[str]:
    """Enums, patterns and upper bounds, which ParamValidator leaves to the service."""
    if shape.type_name == "structure":
        for name, inner in value.items() if not shape.is_document_type else ():
            if name in shape.members:
                yield from _beyond(shape.members[name], inner, f"{at}.{name}".lstrip("."))
    elif shape.type_name == "list":
        yield from _bounded(shape, len(value), at, "elements")
        for index, inner in enumerate(value):
            yield from _beyond(shape.member, inner, f"{at}[{index}]")
    elif shape.type_name == "map":
        for name, inner in value.items():
            yield from _beyond(shape.value, inner, f"{at}.{name}")
    elif shape.type_name == "string":
        if shape.enum and value not in shape.enum:
            yield f"`{at}` is {value!r}; the service takes {', '.join(shape.enum)}"
        yield from _bounded(shape, len(value), at, "characters")
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(pattern, value, re.ASCII):
            yield f"`{at}` is {value[:80]!r}, which is not of the form {pattern}"
    elif shape.type_name in ("integer", "float", "long", "double"):
        yield from _bounded(shape, value, at, "")


def _bounded(shape: Any, size: float, at: str, unit: str) -> Iterator[str]:
    most = shape.metadata.get("max")
    if most is not None and size > most:
        yield f"`{at}` {'has' if unit else 'is'} {size:,} {unit}".rstrip() + f"; the service takes at most {most:,}"
