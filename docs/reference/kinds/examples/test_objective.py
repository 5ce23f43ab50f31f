from luthier.testing.objective import ObjectiveContract


class TestMargin(ObjectiveContract):
    answer, method = "method/objective=margin", "dpo"
    plugins = ("kind_examples",)
