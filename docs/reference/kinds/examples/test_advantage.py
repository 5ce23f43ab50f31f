from luthier.testing.advantage import AdvantageContract


class TestAboveMedian(AdvantageContract):
    answer = "method/advantage=above_median"
    plugins = ("kind_examples",)
