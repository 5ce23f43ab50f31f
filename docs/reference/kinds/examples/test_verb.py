from luthier.testing.verb import VerbContract


class TestWhereIs(VerbContract):
    plugin, verb = "kind_examples.verb", "where-is"
    arguments, exit_code = ("runs/none",), 2
