"""The settings with which every model loads."""

from __future__ import annotations

from typing import Any, Literal

from luthier.models.loading import LoadSettings


class LoadableModel:
    """A model whose constructor takes, beside its own settings, those of `LoadSettings`; they are kept as `loading`.

    Subclasses hand them on: `def __init__(self, *, own: str, **loading: Any)` calls `super().__init__(**loading)`.
    """

    resumable: tuple[str, ...] = ("attn_implementation", "gradient_checkpointing", "compile")
    """The settings that may change where a training goes on from a checkpoint: how the network computes, not what."""

    def __init__(
        self,
        *,
        dtype: Literal["auto", "float32", "bfloat16", "float16"] = "float32",
        attn_implementation: str = "luthier_packed",
        gradient_checkpointing: bool = False,
        compile: bool = False,
        chat_template: str | None = None,
        template_settings: dict[str, Any] | None = None,
    ) -> None:
        self.loading = LoadSettings(
            dtype, attn_implementation, gradient_checkpointing, compile, chat_template, template_settings
        )
