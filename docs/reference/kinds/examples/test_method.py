from luthier.testing.method import MethodContract


class TestFocal(MethodContract):
    answer = "method=focal"
    plugins = ("kind_examples",)
