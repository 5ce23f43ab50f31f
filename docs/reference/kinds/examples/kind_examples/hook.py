"""A check of the recipe, and lines in the log."""

from luthier.api import hookimpl


@hookimpl
def luthier_check(config):
    if config.batch.size > 4096:
        yield f"batch.size={config.batch.size} is more than this machine takes; use 4096 at most."


@hookimpl
def luthier_report(config):
    return [f"cost centre 4711, seed {config.seed}"]
