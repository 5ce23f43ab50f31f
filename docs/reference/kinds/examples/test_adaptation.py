from luthier.testing.adaptation import AdaptationContract


class TestNorms(AdaptationContract):
    answer = "adaptation=norms"
    cannot = frozenset({"switch", "plain_peft"})
    plugins = ("kind_examples",)
