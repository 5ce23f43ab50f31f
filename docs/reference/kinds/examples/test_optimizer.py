from luthier.testing.optimizer import OptimizerContract


class TestSgd(OptimizerContract):
    answer = "optimizer=sgd"
    plugins = ("kind_examples",)
