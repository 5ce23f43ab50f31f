from luthier.testing.search import SearchContract


class TestSharedWords(SearchContract):
    answer = "prompt/search=shared_words"
    plugins = ("kind_examples",)
