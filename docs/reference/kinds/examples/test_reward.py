from luthier.testing.reward import RewardContract


class TestEnded(RewardContract):
    answer = "method/reward=ended"
    plugins = ("kind_examples",)
