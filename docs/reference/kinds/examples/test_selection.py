from luthier.testing.selection import SelectionContract


class TestAsLong(SelectionContract):
    answer = "prompt/selection=as_long"
    plugins = ("kind_examples",)
