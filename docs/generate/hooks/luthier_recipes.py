from luthier.api import hookimpl


@hookimpl
def luthier_recipes():
    return "pkg://luthier_lora.recipes"  # a package beside this module, with adaptation/lora.yaml in it
