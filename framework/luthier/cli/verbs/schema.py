"""`luthier schema`: print the JSON Schema of a recipe, for completion and validation in editors."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from luthier.cli.call import Call
from luthier.disk.writing import write_text


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", metavar="FILE", type=Path, help="write it there instead of printing it")
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")


def act(call: Call) -> int:
    from luthier.config.schema import recipe_schema

    schema = recipe_schema(call.catalog(call.arguments.config_dir))
    if call.arguments.output is None:
        call.console.data(json.dumps(schema, indent=2), schema)
        return 0
    write(schema, call.arguments.output)
    call.console.data(str(call.arguments.output), {"file": str(call.arguments.output)})
    return 0


def write(schema: object, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(schema, indent=1) + "\n")
