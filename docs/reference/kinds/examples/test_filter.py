from luthier.testing.filter import FilterContract


class TestShort(FilterContract):
    answer = "data/filter=short"
    plugins = ("kind_examples",)
