from luthier.testing.task import TaskContract


class TestFirstWord(TaskContract):
    answer = "evaluation/task=first_word"
    plugins = ("kind_examples",)
