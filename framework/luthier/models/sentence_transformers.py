"""The files by which sentence-transformers reads a model: which modules follow the network, prompts, lengths.

They are read where a model brings them, so that it is pooled as it was trained, and written beside what was trained.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from luthier.contracts.text_embedding import Pooling, Reranker, Similarity, TextEmbedding
from luthier.disk.writing import write_json
from luthier.errors import RecipeError
from luthier.models.auto_class import is_encoder
from luthier.models.safety import read_json
from luthier.models.stored import StoredModel

if TYPE_CHECKING:
    from luthier.contracts.model import Model

MODULES, PROMPTS, LENGTHS = "modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"
POOLING, NORMALIZE = "1_Pooling", "2_Normalize"
_FLAGS: dict[str, Pooling] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "lasttoken",
}
_ACTIVATIONS = {"identity": "torch.nn.modules.linear.Identity", "sigmoid": "torch.nn.modules.activation.Sigmoid"}


LENGTH = 512
"""The tokens of a text where neither the recipe nor the model's files say a number, if the model reads so many."""


def embedding_of(
    model: Model,
    *,
    pooling: Pooling | None = None,
    similarity: Similarity | None = None,
    length: int | None = None,
    query_prompt: str | None = None,
    document_prompt: str | None = None,
    dimensions: Sequence[int] = (),
) -> TextEmbedding:
    """How a model pools and prompts: what is given, else what its own files for sentence-transformers state.

    Where they state nothing, an encoder has the mean of its tokens and a language model its last token, compared by the
    cosine. RecipeError for files that state what is not trained here, and for more tokens than the model reads.
    """
    asked = {"similarity": similarity, "length": length, "query_prompt": query_prompt}
    asked |= {"document_prompt": document_prompt, "pooling": pooling}
    given = {name: value for name, value in asked.items() if value is not None}
    longest = model.tokenizer.model_max_length
    found: dict[str, Any] = {
        "pooling": "mean" if is_encoder(model.config) else "lasttoken",
        "length": min(longest, LENGTH),
        **own_embedding(model, but=given),
        **given,
    }
    if found["length"] > longest:
        raise RecipeError(
            f"method.length={found['length']} is more than the model's {longest} positions.",
            where="method.length",
            hint=f"Set method.length={longest} or less.",
        )
    return TextEmbedding(**found, dimensions=tuple(dimensions))


def own_embedding(model: Model, *, but: Container[str] = ()) -> dict[str, Any]:
    """The fields of `TextEmbedding` that the model's own files state, without those of `but`; empty without files.

    RecipeError for a model whose modules are more than pooling and a norm of 1, which would be lost.
    """
    folder = model.plans() if isinstance(model, StoredModel) else getattr(model, "folder", None)
    if not isinstance(folder, Path):
        return {}
    found: dict[str, Any] = {}
    prompts = _read(folder / PROMPTS)
    if (length := _read(folder / LENGTHS).get("max_seq_length")) is not None:
        found["length"] = int(length)
    stated = prompts.get("prompts") or {}
    for kind, names in (("query", ("query",)), ("document", ("document", "passage"))):
        if words := next((stated[name] for name in names if stated.get(name)), ""):
            found[f"{kind}_prompt"] = str(words)
    if (folder / MODULES).is_file():
        modules = [(str(one.get("type", "")).rpartition(".")[2], str(one.get("path", ""))) for one in _modules(folder)]
        _refuse_others(modules, str(folder))
        found["similarity"] = "cosine" if "Normalize" in dict(modules) else _similarity(prompts)
        for kind, path in modules:
            if kind == "Pooling" and "pooling" not in but:
                found["pooling"] = _pooling(_read(folder / path / "config.json"), str(folder))
    return found


def write_embedder(folder: Path, embedding: TextEmbedding, width: int) -> None:
    """Write the files of an embedder whose network and tokenizer are in the folder; embeddings have `width` numbers."""
    modules = [("", "Transformer"), (POOLING, "Pooling")]
    modules += [(NORMALIZE, "Normalize")] if embedding.similarity == "cosine" else []
    stated = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for at, (path, kind) in enumerate(modules)
    ]
    write_json(folder / MODULES, stated, indent=2)
    (folder / POOLING).mkdir(exist_ok=True)
    flags = {flag: pooling == embedding.pooling for flag, pooling in _FLAGS.items()}
    write_json(folder / POOLING / "config.json", {"word_embedding_dimension": width, **flags}, indent=2)
    write_json(folder / LENGTHS, {"max_seq_length": embedding.length, "do_lower_case": False}, indent=2)
    prompts = {"query": embedding.query_prompt, "document": embedding.document_prompt}
    similarity = "cosine" if embedding.similarity == "cosine" else "dot"
    settings = {"prompts": prompts, "default_prompt_name": None, "similarity_fn_name": similarity}
    write_json(folder / PROMPTS, settings, indent=2)


def state_activation(config: Any, reranker: Reranker) -> None:
    """Say in a network's configuration what its output becomes, where sentence-transformers' CrossEncoder reads it."""
    config.sentence_transformers = {"activation_fn": _ACTIVATIONS[reranker.activation]}


def _read(file: Path) -> Mapping[str, Any]:
    found = read_json(file) if file.is_file() else {}
    return found if isinstance(found, Mapping) else {}


def _modules(folder: Path) -> list[Mapping[str, Any]]:
    found = read_json(folder / MODULES)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _refuse_others(modules: list[tuple[str, str]], owner: str) -> None:
    others = [kind for kind, _ in modules if kind not in ("Transformer", "Pooling", "Normalize")]
    if others:
        raise RecipeError(
            f"{MODULES} of {owner} puts the module {others[0]} behind the network, which is not trained here.",
            where="model",
            hint="Choose an embedder of a network, pooling and a norm of 1, or copy the model without that file.",
        )


def _similarity(prompts: Mapping[str, Any]) -> str:
    stated = prompts.get("similarity_fn_name")
    return "dot" if stated in ("dot", "dot_product") else "cosine"


def _pooling(stated: Mapping[str, Any], owner: str) -> str:
    """The one pooling that the file of a Pooling module names, in the form of today or of before."""
    named = stated.get("pooling_mode")
    flags = [key for key, value in stated.items() if key.startswith("pooling_mode_") and value is True]
    modes = [named] if isinstance(named, str) else named or [_FLAGS.get(flag, flag) for flag in flags]
    if len(modes) != 1 or modes[0] not in get_args(Pooling) or stated.get("include_prompt") is False:
        said = "without the prompt" if stated.get("include_prompt") is False else " and ".join(map(str, modes))
        raise RecipeError(
            f"{owner} pools {said or 'in no way'}, which is none of {', '.join(get_args(Pooling))}.",
            where="method.pooling",
            hint="Name one of them in method.pooling.",
        )
    return str(modes[0])
