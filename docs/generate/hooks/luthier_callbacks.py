from luthier.api import hookimpl


@hookimpl
def luthier_callbacks(config):
    from my_plugin_parts import Lights  # a pytorch_lightning.Callback; imported here, as importing it takes seconds

    return [Lights()]
