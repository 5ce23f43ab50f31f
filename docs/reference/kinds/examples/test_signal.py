from luthier.testing.signal import SignalContract


class TestHellinger(SignalContract):
    answer = "method/signal=hellinger"
    plugins = ("kind_examples",)
