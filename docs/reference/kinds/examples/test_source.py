from luthier.testing.source import SourceContract


class TestSums(SourceContract):
    answer = "data=sums"
    words = ("data/format=auto",)  # debug=tiny has another one
    plugins = ("kind_examples",)
