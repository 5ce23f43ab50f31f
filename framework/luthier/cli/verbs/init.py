"""`luthier init FILE`: detect the format of a data file and write a commented starter recipe for it."""

from __future__ import annotations

import argparse
from pathlib import Path

from luthier.cli.call import Call
from luthier.cli.verbs import schema
from luthier.config.names import refuse_bad_name
from luthier.disk.writing import write_text
from luthier.errors import RecipeError

SCHEMA = Path("recipes", "luthier.schema.json")


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="a data file, or a folder of them")
    parser.add_argument("--name", metavar="NAME", help="of the recipe; the file's own name unless given")


def act(call: Call) -> int:
    from luthier.config.schema import recipe_schema
    from luthier.config.starter import Look, recipe, slug

    file = call.arguments.file
    name = call.arguments.name or slug(file)
    refuse_bad_name(name, where="--name")
    written = Path("recipes", "recipe", f"{name}.yaml")
    if written.exists():
        raise RecipeError(f"{written} is there already.", where=str(written), hint="Say --name to write another.")
    look = Look.at(file)
    written.parent.mkdir(parents=True, exist_ok=True)
    up = "../" * (len(written.parent.parts) - len(SCHEMA.parent.parts))
    write_text(written, recipe(look, name, f"{up}{SCHEMA.name}"))
    schema.write(recipe_schema(call.catalog()), SCHEMA)
    call.composer().compose([f"recipe={name}"])
    recipe_word = f"recipe={name}"
    commands = [call.flags.to_paste(*words, recipe_word) for words in (["preview"], ["plan"], [])]
    record = {"recipe": str(written), "schema": str(SCHEMA), "format": look.format.name, "next": commands}
    call.console.data("\n".join([f"{written}   {look.format.reason}", "", *_next(commands)]), record)
    return 0


def _next(commands: list[str]) -> list[str]:
    purposes = ("what the model will see of it, token by token", "whether it can run, what it takes", "run it")
    column = max(map(len, commands)) + 3
    return [f"  {command:<{column}}{purpose}" for command, purpose in zip(commands, purposes, strict=True)]
