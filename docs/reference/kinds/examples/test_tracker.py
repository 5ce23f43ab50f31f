from luthier.testing.tracker import TrackerContract


class TestLines(TrackerContract):
    answer = "tracking=lines"
    plugins = ("kind_examples",)
