from luthier.api import Verb, hookimpl


def declare(parser):
    parser.add_argument("run", help="the folder of a finished run")


def act(call):
    call.console.data(f"I would publish {call.arguments.run}.")
    return 0


@hookimpl
def luthier_verbs():
    return [Verb("publish", "Put a finished model on our shelf", declare, act)]
