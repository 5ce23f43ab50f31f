from luthier.testing.model import ModelContract


class TestScaled(ModelContract):
    answer = "model=scaled"
    plugins = ("kind_examples",)
