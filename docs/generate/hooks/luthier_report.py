from luthier.api import hookimpl


@hookimpl
def luthier_report(config):
    return [f"cost centre 4711, seed {config.seed}"]
