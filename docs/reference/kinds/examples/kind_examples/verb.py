"""A word of the command line."""

from luthier.api import Verb, hookimpl


def declare(parser):
    parser.add_argument("run", help="the folder of a finished run")


def act(call):
    from luthier.api import find_artifact  # here: every command imports this module, and torch takes seconds

    call.console.data(f"The artifact is {find_artifact(call.arguments.run)}.")
    return 0


@hookimpl
def luthier_verbs():
    return [Verb("where-is", "Say where the artifact of a run lies", declare, act)]
