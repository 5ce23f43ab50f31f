from luthier.api import hookimpl


@hookimpl
def luthier_recipes():
    return "pkg://luthier_lora.options"  # a package that is not called recipes, with adaptation/lora.yaml in it
