from luthier.testing.trainer import TrainerContract


class TestTimed(TrainerContract):
    answer = "trainer=timed"
    plugins = ("kind_examples",)
