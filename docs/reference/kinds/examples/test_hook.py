from luthier.testing.hook import HookContract


class TestCostCentre(HookContract):
    plugin = "kind_examples.hook"
