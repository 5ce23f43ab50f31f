from luthier.testing.format import FormatContract


class TestRiddle(FormatContract):
    answer = "data/format=riddle"
    rows = ({"riddle": "What has a neck and no head?", "solution": "A violin."},)
    plugins = ("kind_examples",)
