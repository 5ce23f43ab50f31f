"""Searches, computed by hand and compared with bm25s and transformers."""

from __future__ import annotations

import bm25s
import numpy as np
import pytest
import torch

from luthier.api import top_k
from luthier.errors import RecipeError
from luthier.inference.embeddings.encoder import Encoder
from luthier.inference.embeddings.hashed import Hashed
from luthier.inference.embeddings.static import Static
from luthier_retrieval.chunking import Passage
from luthier_retrieval.neighbours.exact import Exact
from luthier_retrieval.neighbours.hnsw import Hnsw
from luthier_retrieval.reranking.cross_encoder import CrossEncoder
from luthier_retrieval.searches.bm25 import Bm25Search
from luthier_retrieval.searches.dense import DenseSearch
from luthier_retrieval.searches.hybrid import HybridSearch
from luthier_retrieval.segment import IndexedDocument, Segment, write_segment

TEXTS = [
    "The bow of a violin needs rosin", "A violin has four strings", "A cello bow is shorter than a violin bow",
    "The shop is open on Saturday", "Gut strings sound warm and break soon", "Rosin is made of resin",
]  # fmt: skip


def opened(search, tmp_path, cut=(3, 6)):
    """The texts in two segments."""
    segments, start = [], 0
    for number, end in enumerate(cut):
        folder = tmp_path / str(number)
        folder.mkdir()
        part = TEXTS[start:end]
        write_segment(folder, [IndexedDocument("d", "", len(part))], [Passage("d", "", text) for text in part])
        search.write(folder, part, [])
        segments.append(Segment(folder))
        start = end
    search.open(segments)
    return search


def test_bm25_over_segments_scores_as_bm25s_does_over_all(tmp_path):
    mine = opened(Bm25Search(stopwords="none"), tmp_path)
    theirs = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
    theirs.index(bm25s.tokenize(TEXTS, stopwords=None, return_ids=False, show_progress=False), show_progress=False)
    for question in ("violin bow", "rosin rosin strings", "of the shop"):
        words = bm25s.tokenize([question], stopwords=None, return_ids=False, show_progress=False)[0]
        np.testing.assert_allclose(mine.scores(question), theirs.get_scores(words), rtol=1e-5)
    numbers, scores = mine("xylophone", 5)
    assert len(numbers) == len(scores) == 0


def test_stop_words_are_ignored_by_default(tmp_path):
    assert opened(Bm25Search(), tmp_path)("of the is", 5)[0].size == 0


@pytest.mark.parametrize("neighbours", [Exact(), Hnsw()])
def test_dense_search_ranks_by_the_product_of_vectors(neighbours, tmp_path):
    embedding = Hashed(width=512)
    mine = opened(DenseSearch(embedding=embedding, neighbours=neighbours), tmp_path)
    expected = embedding(TEXTS) @ embedding(["a violin bow"])[0]
    numbers, scores = mine("a violin bow", 3)
    assert numbers.tolist() == np.argsort(-expected, kind="stable")[:3].tolist()
    np.testing.assert_allclose(scores, np.sort(expected)[::-1][:3], rtol=1e-5)
    assert mine("?!", 3)[0].size == 0


class FixedRanking:
    """A search that always returns the given passage numbers."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = np.array(numbers)

    def __call__(self, question, k):
        return self.numbers[:k], np.zeros(len(self.numbers[:k]), dtype=np.float32)


def test_fusion_adds_up_reciprocal_ranks():
    fused = HybridSearch(searches={"a": FixedRanking(4, 7, 9), "b": FixedRanking(7, 1)}, k=60)
    numbers, scores = fused("", 10)
    assert numbers.tolist() == [7, 4, 1, 9]
    np.testing.assert_allclose(scores, [1 / 62 + 1 / 61, 1 / 61, 1 / 62, 1 / 63], rtol=1e-6)
    weighed = HybridSearch(searches={"a": FixedRanking(4, 7, 9), "b": FixedRanking(7, 1)}, weights={"b": 0.0})
    assert weighed("", 10)[0].tolist()[:3] == [4, 7, 9]
    with pytest.raises(RecipeError, match="no search 'c'"):
        HybridSearch(searches={"a": FixedRanking(), "b": FixedRanking()}, weights={"c": 1.0})
    with pytest.raises(RecipeError, match="two searches"):
        HybridSearch(searches={"a": FixedRanking()})


def test_the_best_come_first_and_of_equal_ones_the_earlier():
    assert top_k(np.array([1, 3, 2, 3, 0], dtype=np.float32), 3).tolist() == [1, 3, 2]
    assert top_k(np.array([1, 1, 1], dtype=np.float32), 2).tolist() == [0, 1]


def test_a_static_embedding_is_the_mean_of_its_tokens(tmp_path, tokenizer):
    from safetensors.numpy import save_file

    table = np.random.default_rng(0).normal(size=(len(tokenizer), 16)).astype(np.float32)
    save_file({"embedding": table}, tmp_path / "table.safetensors")
    tokenizer.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    files = {"weights": str(tmp_path / "table.safetensors"), "tokenizer": str(tmp_path / "tokenizer.json")}
    static = Static(package=None, **files)
    mean = table[tokenizer.encode("a violin bow", add_special_tokens=False)].mean(0)
    one, none = static(["a violin bow", ""])
    np.testing.assert_allclose(one, mean / np.linalg.norm(mean), rtol=1e-5)
    assert not none.any()


class Folder:
    """A model in a folder."""

    def __init__(self, path) -> None:
        self.path, self.name = path, str(path)

    def folder(self):
        return self.path

    def lineage(self):
        return {"sha256": "0"}


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """A tiny BERT with one output, and a tokenizer."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted({word.lower() for text in TEXTS for word in text.split()})]
    cutting = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, "[UNK]"))
    cutting.normalizer, cutting.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    cutting.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=cutting, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, num_labels=1,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def test_an_encoder_pools_without_padding(bert):
    from transformers import AutoModel, AutoTokenizer

    embed = Encoder(model=Folder(bert), batch=4)
    vectors = embed(TEXTS)
    tokenizer, network = AutoTokenizer.from_pretrained(bert), AutoModel.from_pretrained(bert).eval()
    for text, vector in zip(TEXTS, vectors, strict=True):
        with torch.no_grad():
            mean = network(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0).numpy()
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)
    first = Encoder(model=Folder(bert), pooling="first", before_question="the ")
    assert not np.allclose(first(TEXTS[:1], is_query=True), first(TEXTS[:1]))


def test_a_cross_encoder_orders_by_its_logit_of_each_pair(bert):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    places = CrossEncoder(model=Folder(bert), batch=2)("a violin", [Passage("d", "", text) for text in TEXTS])
    tokenizer = AutoTokenizer.from_pretrained(bert)
    network = AutoModelForSequenceClassification.from_pretrained(bert).eval()
    with torch.no_grad():
        logits = [float(network(**tokenizer("a violin", text, return_tensors="pt")).logits) for text in TEXTS]
    assert places == sorted(range(len(TEXTS)), key=lambda place: -logits[place])
