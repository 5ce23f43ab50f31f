"""A luthier model as a model of lm-evaluation-harness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from lm_eval import utils
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.models.utils import normalize_gen_kwargs

from luthier.api import (
    AnsweringNetwork,
    Predictor,
    RecipeError,
    Row,
    Sampling,
    TokenSequence,
    conversation_of,
    evaluation_mode,
    find_lm_head,
    generate_from_tokens,
    hidden_states,
    packed_batches,
)

LENGTH = 2048
"""Tokens of a text for a model that names no limit."""
ROWS = 512
"""Positions whose logits over the whole vocabulary are held at once."""
Request = tuple[tuple[str, str] | None, list[int], list[int]]
"""(context, continuation) as texts, and the tokens of both."""


@register_model("luthier")
class HarnessModel(TemplateLM):  # type: ignore[misc]
    """Log-likelihoods and generations of any luthier model: adapters, ensembles, and with its prompt where asked so.

    Texts are tokenized as the harness's own `hf` model does, so that log-likelihoods are the same. With
    `apply_chat_template` each conversation goes through the run's prompt first, so that few-shot examples, instructions
    and retrieved passages are part of it. `model` is a predictor, such as `luthier.load(run)`, and `path` the folder of
    a run instead of one.
    """

    def __init__(self, model: Predictor | None = None, *, path: str | None = None, **unused: Any) -> None:
        super().__init__()
        if (model is None) == (path is None):
            raise RecipeError("A model of the harness is a predictor, or the path of a run.", where="path")
        self.predictor = model if model is not None else _loaded(str(path))
        self.tokenizer: Any = self.predictor.tokenizer
        self.cut = 0
        """Contexts that were cut on their left."""
        self._conversations: dict[str, Any] = {}

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text."""
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """The token before a text without context."""
        bos = self.tokenizer.bos_token_id
        return int(self.eot_token_id if bos is None else bos)

    @property
    def max_length(self) -> int:
        """Tokens of the longest text."""
        config = getattr(self.predictor.network, "config", None)
        positions = getattr(config, "max_position_embeddings", None) or LENGTH
        return int(min(positions, self.tokenizer.model_max_length))

    @property
    def max_gen_toks(self) -> int:
        """Tokens of the longest answer, where a task names none."""
        return 256

    @property
    def tokenizer_name(self) -> str:
        """For the caches of the harness, which luthier does not use."""
        return str(self.tokenizer.name_or_path).replace("/", "__")

    @property
    def device(self) -> torch.device:
        """That of the network."""
        return next(self.predictor.network.parameters()).device

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The template of the run's tokenizer."""
        return str(self.tokenizer.chat_template) if chat_template else None

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """A conversation as the run's prompt and its chat template show it."""
        shown = self.predictor.prompt({"messages": [dict(message) for message in chat_history]})
        text = str(
            self.tokenizer.apply_chat_template(
                list(shown["messages"]), tokenize=False, add_generation_prompt=add_generation_prompt,
                continue_final_message=not add_generation_prompt,
            )
        )  # fmt: skip
        self._conversations[text] = conversation_of(shown)
        return text

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **unused: Any) -> list[int]:
        """As `hf` does: with what the tokenizer adds before a text, unless the text begins with it already."""
        if add_special_tokens is None and string.startswith(self.tokenizer.decode([self.prefix_token_id])):
            add_special_tokens = False
        told = {} if add_special_tokens is None else {"add_special_tokens": add_special_tokens}
        return list(self.tokenizer.encode(string, **told))

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        """log p of each continuation after its context, and whether greedy decoding would write it."""
        found: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm=disable_tqdm)
        return found

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = True) -> list[float]:
        """log p of each text, in windows of the model's length."""
        found = []
        for (text,) in (request.args for request in requests):
            windows = utils.get_rolling_token_windows(
                self.tok_encode(text), self.prefix_token_id, max_seq_len=self.max_length, context_len=1
            )
            pairs: list[Request] = [(None, *utils.make_disjoint_window(one)) for one in windows]
            found.append(sum(value for value, _ in self._loglikelihood_tokens(pairs)))
        return found

    def _loglikelihood_tokens(self, requests: Sequence[Request], **unused: Any) -> list[tuple[float, bool]]:
        if isinstance(self.predictor.network, AnsweringNetwork):
            return [self._judged(texts) for texts, _, _ in requests]
        rows = [self._row(context, continuation) for _, context, continuation in requests]
        found: list[tuple[float, bool]] = [(0.0, True)] * len(rows)
        network, device = self.predictor.network, self.device
        autocast = getattr(self.predictor, "autocast", None)
        head = find_lm_head(network)
        with evaluation_mode(network), torch.no_grad():
            for group, batch in packed_batches(rows, device):
                with torch.autocast(device.type, autocast) if autocast else nullcontext():
                    states = hidden_states(network, batch)[0]
                    wanted = (batch.weights[0] > 0).nonzero().flatten()
                    targets = batch.input_ids[0, wanted]
                    scored, greedy = self._scored(head, states[wanted - 1], targets)
                ends = np.cumsum([int((rows[index].sequences[0].weights > 0).sum()) for index in group])[:-1]
                parts = zip(group, np.split(scored, ends), np.split(greedy, ends), strict=True)
                for index, logs, likeliest in parts:
                    found[index] = float(logs.sum()), bool(likeliest.all())
        return found

    def _scored(self, head: Any, states: torch.Tensor, targets: torch.Tensor) -> tuple[Any, Any]:
        """log p of each target, float64, and whether it is the likeliest."""
        logs, likeliest = [], []
        for some, wanted in zip(torch.split(states, ROWS), torch.split(targets, ROWS), strict=True):
            every = torch.log_softmax(head.logits(some), dim=-1)
            logs.append(every.gather(-1, wanted[:, None].long())[:, 0].double().cpu())
            likeliest.append((every.argmax(-1) == wanted).cpu())
        return torch.cat(logs).numpy(), torch.cat(likeliest).numpy()

    def _row(self, context: list[int], continuation: list[int]) -> Row:
        """Both as one sequence, of which the continuation counts; the context is cut where it does not fit."""
        ids = [*context, *continuation]
        if len(ids) > self.max_length:
            self.cut += 1
            ids = ids[-self.max_length :]
        weights = np.zeros(len(ids), dtype=np.float32)
        weights[max(1, len(ids) - len(continuation)) :] = 1
        return Row((TokenSequence(np.array(ids, dtype=np.int32), weights),))

    def generate_until(self, requests: list[Any], disable_tqdm: bool = True) -> list[str]:
        """The text that is generated after each context, up to the texts that end it."""
        return [self._generated(*request.args) for request in requests]

    def _generated(self, context: str, given: Mapping[str, Any]) -> str:
        settings: dict[str, Any] = dict(normalize_gen_kwargs(dict(given), self.max_gen_toks))
        until = settings.get("until") or []
        sampling = Sampling(
            max_new_tokens=settings["max_gen_toks"],
            temperature=float(settings.get("temperature") or 0.0) if settings.get("do_sample") else 0.0,
            top_p=float(settings.get("top_p") or 1.0),
            top_k=int(settings.get("top_k") or 0) if settings.get("do_sample") else 0,
            stop=tuple(one for one in ([until] if isinstance(until, str) else until) if one),
        )
        network = self.predictor.network
        if isinstance(network, AnsweringNetwork):
            return self.predictor.answers([self._conversation(context)], sampling)[0].text
        room = self.max_length - sampling.max_new_tokens
        if room < 1:
            raise RecipeError(
                f"An answer of {sampling.max_new_tokens} tokens leaves the model, which reads {self.max_length}, no "
                "room for the question.",
                where="generation_kwargs.max_gen_toks of the task file",
            )
        prompt = np.array(self.tok_encode(context)[-room:], dtype=np.int32)
        return generate_from_tokens(network, self.tokenizer, [prompt], sampling)[0].text

    def _judged(self, texts: tuple[str, str] | None) -> tuple[float, bool]:
        """log p of a label by an ensemble that answers as a whole; whether it is the likeliest answer is not known."""
        context, label = texts or ("", "")
        scores = self.predictor.score_labels([self._conversation(context)], [label.strip()])
        return float(scores[0, 0]), False

    def _conversation(self, context: str) -> Any:
        if context not in self._conversations:
            raise RecipeError(
                f"{type(self.predictor.network).__name__} answers conversations and continues no text.",
                where="evaluation.task.chat",
                hint="Set evaluation.task.chat=true, and use tasks that ask for an answer.",
            )
        return self._conversations[context]


def _loaded(path: str) -> Predictor:
    from luthier.api import load

    return load(path)
