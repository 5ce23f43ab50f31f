from luthier.testing.strategy import StrategyContract


class TestPlainDdp(StrategyContract):
    answer = "trainer/strategy=plain_ddp"
    plugins = ("kind_examples",)
