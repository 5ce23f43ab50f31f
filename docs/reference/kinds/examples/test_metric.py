from luthier.testing.metric import MetricContract


class TestWordRecall(MetricContract):
    answer = "evaluation/metric=word_recall"
    plugins = ("kind_examples",)
