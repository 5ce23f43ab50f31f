"""A network with its tokenizer and prompt: generation, log-probabilities, reward scores and losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from luthier.contracts.batch import Row, TokenSequence
from luthier.contracts.examples import Example
from luthier.contracts.prompt import Prompt
from luthier.contracts.sampling import Answer, Sampling
from luthier.contracts.text_embedding import RankedDocument, Reranker, TextEmbedding, TextKind
from luthier.data.encoding import encode_conversation, encode_for_scoring
from luthier.data.examples import conversation_of, example_of
from luthier.data.shown_examples import shown
from luthier.data.tagging.words import example_words, text_words
from luthier.data.turn_examples import encoded_turns
from luthier.errors import RecipeError
from luthier.inference import generation, log_probabilities
from luthier.inference.calibration import Calibration
from luthier.inference.class_scores import class_scores, encode_for_classification, head_of
from luthier.inference.classified import Classified, classified
from luthier.inference.embeddings import Vectors
from luthier.inference.positions import read_whole_or_cut, refused_beyond
from luthier.inference.reward_scores import reward_scores
from luthier.inference.tagged import Entity, entities_of
from luthier.inference.text_embeddings import embedded
from luthier.inference.text_pairs import reranked
from luthier.inference.token_scores import encode_words, tags_of_network, word_scores
from luthier.models.auto_class import is_encoder
from luthier.models.evaluation_mode import evaluation_mode
from luthier.models.sequence_classification import is_classifier, is_reward_model, is_tagger
from luthier.models.wrappers import unwrapped

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from luthier.contracts.predictor import Conversation
    from luthier.contracts.training import Criterion


@dataclass
class NetworkPredictor:
    """A network with its tokenizer, its prompt and the method whose loss it is measured by.

    `autocast` is the dtype of forward passes, None for that of the weights. Generation computes in the dtype of the
    weights.
    """

    network: nn.Module
    """The network."""
    tokenizer: PreTrainedTokenizerBase
    """Its tokenizer."""
    prompt: Prompt
    """How an example becomes text."""
    method: Criterion | None = None
    """The method whose loss it is measured by; None where there is none."""
    autocast: torch.dtype | None = None
    calibration: Calibration | None = field(default=None, kw_only=True)
    """How sure the probabilities of a classifier are, as it was measured on held-out examples; None: not measured."""
    embedding: TextEmbedding | None = field(default=None, kw_only=True)
    """How an embedder pools and prompts; None for any other model."""
    reranker: Reranker | None = field(default=None, kw_only=True)
    """How a cross-encoder reads a query with a document; None for any other model."""

    def generate(self, conversations: Sequence[Conversation], sampling: Sampling | None = None) -> list[str]:
        """The text of the next assistant turn of each conversation, after the prompt is applied to it.

        A conversation is a list of messages, or an example with `messages` and `tools`. Reasoning before the answer is
        not part of the text; `answers` gives both.
        """
        prompted = [conversation_of(shown(self.prompt, example_of(each))) for each in conversations]
        return [answer.spoken for answer in self.answers(prompted, sampling)]

    def answers(
        self,
        conversations: Sequence[Conversation],
        sampling: Sampling | None = None,
        *,
        on_token: Callable[[Answer], None] | None = None,
    ) -> list[Answer]:
        """The next assistant turn of each conversation, without applying the prompt: text, tokens, finish reason.

        `on_token` is called after each token with the answer so far. RecipeError for a reward model.
        """
        refuse_reward_model(self.network)
        with evaluation_mode(self.network):
            return generation.generate(
                self.network, self.tokenizer, conversations, sampling or Sampling(), on_token=on_token
            )

    @property
    def is_classifier(self) -> bool:
        """Whether the network has a classification head whose outputs have labels."""
        return is_classifier(self.network)

    def classify(self, texts: Sequence[str], *, error: float | None = None) -> list[Classified]:
        """What a classifier says of each text, which is cut to the longest that the network reads.

        With `error` each answer also holds the labels that cannot be excluded: on texts like those of the validation
        split the true one is missing from them in at most that share (split conformal prediction). RecipeError for a
        model without a classification head, and where nothing was held out to calibrate on.
        """
        if self.reranker is not None:
            raise RecipeError(
                "The model is no classifier: it scores a document for a query.",
                hint="Use luthier.load(run).rerank.",
            )
        return classified(self.class_outputs([{"text": text} for text in texts]), self.network, self.calibration, error)

    def embed(self, texts: Sequence[str], *, kind: TextKind = "document", dimensions: int | None = None) -> Vectors:
        """Embeddings of texts, float32 [texts, width], whose inner products are their similarities.

        `kind` chooses the prompt that was trained: `query` or `document`. `dimensions` takes the first so many numbers,
        as a model that was trained with `method.dimensions` allows. RecipeError for a model that was trained otherwise.
        """
        if self.embedding is None:
            raise RecipeError("The model is no embedder.", hint="Train one with method=embed.")
        if kind not in get_args(TextKind):
            raise RecipeError(f"A text is a query or a document, and {kind!r} is neither.")
        with evaluation_mode(self.network), self._autocast():
            return embedded(self.network, self.tokenizer, self.embedding, texts, kind, dimensions)

    def rerank(self, query: str, documents: Sequence[str]) -> list[RankedDocument]:
        """The documents with their scores for a query, the best first; RecipeError for a model that is no reranker."""
        if self.reranker is None:
            raise RecipeError("The model is no reranker.", hint="Train one with method=rerank.")
        with evaluation_mode(self.network), self._autocast():
            return reranked(self.network, self.tokenizer, self.reranker, query, documents)

    def class_outputs(self, examples: Sequence[Example]) -> NDArray[np.float32]:
        """The outputs of a classification head for the text of each example, float32 [examples, outputs]."""
        head_of(self.network)
        longest = self.tokenizer.model_max_length
        sequences = [encode_for_classification(example, self.tokenizer, longest=longest)[0] for example in examples]
        with evaluation_mode(self.network), self._autocast():
            return class_scores(self.network, sequences)

    def tag(self, texts: Sequence[str]) -> list[list[Entity]]:
        """The entities that a tagger finds in each text, in order, with their places and probabilities.

        A text that is longer than the network reads is read in overlapping windows. RecipeError for a model that is no
        tagger.
        """
        scores = self.word_scores([{"text": text} for text in texts])
        tags = tags_of_network(self.network)
        return [entities_of(text, text_words(text), own, tags) for text, own in zip(texts, scores, strict=True)]

    def word_scores(self, examples: Sequence[Example]) -> list[NDArray[np.floating[Any]]]:
        """log p(tag) of each word of each example by a tagger, float32 [words, tags]; the words are `example_words`."""
        tags = len(tags_of_network(self.network))
        worded = [place for place, example in enumerate(examples) if example_words(example)]
        found: list[NDArray[np.floating[Any]]] = [np.zeros((0, tags), np.float32) for _ in examples]
        encoded = [encode_words(examples[place], self.tokenizer) for place in worded]
        with evaluation_mode(self.network), self._autocast():
            scores = word_scores(self.network, encoded, self.tokenizer.model_max_length)
        for place, own in zip(worded, scores, strict=True):
            found[place] = own
        return found

    def label_log_probs(self, examples: Sequence[Example], labels: Sequence[str]) -> NDArray[np.float32]:
        """log p(label) of the text of each example by the head, [examples, labels]; -inf for a label it has not.

        RecipeError where its outputs are not of one label per text.
        """
        head = head_of(self.network)
        if head.problem != "single_label_classification":
            raise RecipeError(
                f"The outputs of this head are of a {head.problem}, and no single label of a text follows from them.",
                where="evaluation.task",
                hint="Set evaluation/task=none: the method measures what its outputs are.",
            )
        outputs = self.class_outputs(examples)
        powers = outputs - np.logaddexp.reduce(outputs, axis=1, keepdims=True)
        found = np.full((len(examples), len(labels)), -np.inf, dtype=np.float32)
        for column, label in enumerate(labels):
            if label in head.labels:
                found[:, column] = powers[:, head.labels.index(label)]
        return found

    def score_labels(self, conversations: Sequence[Conversation], labels: Sequence[str]) -> NDArray[np.float32]:
        """log p(label as the next assistant turn), float32 [conversations, labels]."""
        with evaluation_mode(self.network), self._autocast():
            return generation.score_labels(self.network, self.tokenizer, conversations, labels)

    def log_probs(self, sequences: Sequence[TokenSequence]) -> list[NDArray[np.float32]]:
        """log p(token | preceding tokens) of each token of each sequence, float32 [n]; 0 for the first."""
        with evaluation_mode(self.network), self._autocast():
            return log_probabilities.log_probs(self.network, sequences)

    def likeliest(self, sequences: Sequence[TokenSequence]) -> list[NDArray[np.bool_]]:
        """Whether each token of each sequence is the likeliest after those before it, bool [n]; False for the first."""
        with evaluation_mode(self.network), self._autocast():
            return log_probabilities.likeliest(self.network, sequences)

    def rewards(self, conversations: Sequence[Conversation]) -> NDArray[np.float32]:
        """Scores of a reward model for each conversation, float32 [conversations] or [conversations, outputs].

        RecipeError for a language model.
        """
        if not is_reward_model(self.network) or is_classifier(self.network):
            raise RecipeError("The model is no reward model.", hint="Train one with method=reward_model.")
        sequences = [encode_for_scoring(example_of(each), self.tokenizer) for each in conversations]
        with evaluation_mode(self.network), self._autocast():
            scores = reward_scores(self.network, sequences)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def logprobs(self, conversation: Conversation) -> NDArray[np.float32]:
        """log p of each token of the assistant's turns of a conversation, in order, float32 [tokens]."""
        turns = encoded_turns(example_of(conversation), _row, self.tokenizer)
        sequences = [turn.row.sequences[0] for turn in turns]
        found = zip(self.log_probs(sequences), sequences, strict=True)
        return np.concatenate([logprobs[sequence.weights > 0] for logprobs, sequence in found])

    def measured(self, examples: Sequence[Example]) -> dict[str, NDArray[np.float64]]:
        """The statistics of the method for each example, float64 [examples, s] by name; `loss` is (sum, weight)."""
        return self._measured_as_shown([(example, shown(self.prompt, example)) for example in examples])

    def _measured_as_shown(self, examples: Sequence[tuple[Example, Example]]) -> dict[str, NDArray[np.float64]]:
        """`measured` of examples, each with what the prompt makes of it."""
        assert self.method is not None, "a predictor without a method has no loss"
        turns = [encoded_turns(as_shown, self.method.encode, self.tokenizer) for _, as_shown in examples]
        of_rows = [example for (example, _), each in zip(examples, turns, strict=True) for _ in each]
        longest = self.tokenizer.model_max_length
        rows, cut = read_whole_or_cut([turn.row for each in turns for turn in each], longest)
        if cut:
            self._warn(
                f"{cut} of {len(rows)} texts were cut to {longest} tokens, the network's positions, to be measured."
            )
        with evaluation_mode(self.network), self._autocast(), refused_beyond(of_rows, rows, longest):
            measured = self.method.measured_of(of_rows, rows)
        if len(of_rows) == len(examples):
            return measured
        begins = np.cumsum([0, *map(len, turns)])[:-1]
        return {name: np.add.reduceat(values, begins) for name, values in measured.items()}

    def _warn(self, sentence: str) -> None:
        """Say it in the report, once."""
        assert self.method is not None, "a predictor without a method measures nothing"
        if sentence not in self.method.warnings:
            self.method.warnings.append(sentence)

    def _autocast(self) -> Any:
        device = next(self.network.parameters()).device.type
        return torch.autocast(device, self.autocast) if self.autocast else nullcontext()


def refuse_reward_model(network: nn.Module) -> None:
    """RecipeError where a network generates no text."""
    if is_encoder(cast(Any, unwrapped(network)).config) or is_classifier(network) or is_tagger(network):
        raise RecipeError(
            f"{type(unwrapped(network)).__name__} reads texts and generates none.",
            hint="Ask it with luthier.load(run).classify, tag, embed or rerank, whichever it was trained for.",
        )
    if is_reward_model(network):
        raise RecipeError(
            "A reward model generates no text.", hint="Score conversations with luthier.load(run).rewards."
        )


def _row(example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
    return Row((encode_conversation(example, tokenizer),))
