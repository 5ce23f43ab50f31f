from luthier.testing.rollout import RolloutContract


class TestOneByOne(RolloutContract):
    answer = "method/rollout=one_by_one"
    plugins = ("kind_examples",)
