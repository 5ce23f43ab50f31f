"""`luthier bedrock job RUN|answers`: the request of a managed job and the Nova recipe; nothing is sent."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.api import RecipeError

if TYPE_CHECKING:
    from luthier.api import Call
    from luthier_bedrock.jobs.carried import Fate
    from luthier_bedrock.jobs.request import Places

REQUEST, RECIPE = "request.json", "nova_recipe.yaml"


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", nargs="+", metavar="RUN|key=value", help="the folder of a run, or a recipe's answers")
    parser.add_argument("--base", required=True, metavar="NAME", help="nova-micro, nova-lite, nova-pro, nova-2-lite, …")
    parser.add_argument("--data", required=True, metavar="S3", help="where the data of the job lie: s3://…")
    parser.add_argument("--results", required=True, metavar="S3", help="where the job puts what it writes: s3://…")
    parser.add_argument("--role", metavar="ARN", help="the role that the service takes on; a request needs it")
    parser.add_argument("--name", default="luthier", help="of the job and of the model (default: luthier)")
    parser.add_argument("--output", type=Path, default=Path("bedrock"), metavar="DIR", help="(default: bedrock)")
    parser.add_argument("--validation", metavar="S3", help="the data for validation")
    parser.add_argument("--lambda", dest="grader", metavar="ARN", help="of rft: the function that grades answers")
    parser.add_argument("--teacher", metavar="ID", help="of distillation: the teacher model")
    parser.add_argument("--logs", action="store_true", help="of distillation: --data are invocation logs")
    parser.add_argument("--use-responses", action="store_true", help="of --logs: train on the answers in them")
    parser.add_argument("--recipe-only", action="store_true", help="write the Nova recipe, and no request")
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")


def act(call: Call) -> int:
    from luthier_bedrock.checks.table import base_named, limits_of
    from luthier_bedrock.jobs.nova_recipe import write_nova_recipe
    from luthier_bedrock.jobs.recipe import kind_of_job, resolved_recipe
    from luthier_bedrock.jobs.request import write_request

    given = call.arguments
    base, places = base_named(given.base), _places(given)
    recipe = resolved_recipe(call, given.recipe, given.config_dir)
    kind = kind_of_job(recipe)
    limits_of(base, kind)
    files: dict[str, str] = {}
    told: dict[str, list[Fate]] = {}
    if not given.recipe_only:
        request, told[REQUEST] = write_request(recipe, kind, base, places)
        files[REQUEST] = json.dumps(request, indent=2) + "\n"
    try:
        files[RECIPE], told[RECIPE] = write_nova_recipe(recipe, kind, base, places)
    except RecipeError as error:
        if given.recipe_only:
            raise
        call.console.say(f"note: no {RECIPE}: {error}")
    return _finish(call, files, told, {"job": kind, "base": base.name})


def _places(given: argparse.Namespace) -> Places:
    from luthier_bedrock.jobs.request import Places

    if not given.role and not given.recipe_only:
        raise RecipeError("A request needs the role that the service takes on.", where="--role", hint="Say --role ARN.")
    if given.use_responses and not given.logs:
        raise RecipeError("--use-responses is of invocation logs.", where="--use-responses", hint="Say --logs, too.")
    return Places(
        given.name, given.role or "", given.data, given.results, given.validation, given.grader, given.teacher,
        given.logs, given.use_responses,
    )  # fmt: skip


def _finish(call: Call, files: dict[str, str], told: dict[str, list[Fate]], facts: dict[str, Any]) -> int:
    from luthier_bedrock.files.writing import write_text
    from luthier_bedrock.jobs.carried import lines

    pages = []
    for name, text in files.items():
        file = call.arguments.output / name
        write_text(file, text)
        pages.append("\n".join([str(file), *lines(told[name])]))
    record = {
        **facts,
        "files": [str(call.arguments.output / name) for name in files],
        "settings": {name: [_plain(fate) for fate in fates] for name, fates in told.items()},
    }
    call.console.data("\n\n".join([*pages, "Nothing was sent."]), record)
    return 0


def _plain(fate: Fate) -> dict[str, Any]:
    return {
        "setting": fate.setting, "value": fate.value, "into": fate.into or None, "written": fate.written,
        "note": fate.note,
    }  # fmt: skip
