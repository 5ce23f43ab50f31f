from luthier.api import hookimpl


@hookimpl
def luthier_check(config):
    node = config.method
    if "patience" in str(node.get("_target_")) and node.get("floor", 1) > node.get("ceiling", 1):
        yield "method.floor is above method.ceiling."
