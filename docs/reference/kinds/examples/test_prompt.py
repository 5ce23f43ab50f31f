from luthier.testing.prompt import PromptContract


class TestReminder(PromptContract):
    answer = "prompt=reminder"
    plugins = ("kind_examples",)
