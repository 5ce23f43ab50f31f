from luthier.testing.reader import ReaderContract


class TestBlocks(ReaderContract):
    answer = "data/reader=blocks"
    content = b"prompt: Which wood?\ncompletion: Spruce.\n\nprompt: Why?\ncompletion: It is light.\n"
    rows = (
        {"prompt": "Which wood?", "completion": "Spruce."},
        {"prompt": "Why?", "completion": "It is light."},
    )
    plugins = ("kind_examples",)
