"""Methods whose network reads texts and generates none: how they load, prove and train it."""

from __future__ import annotations

from abc import abstractmethod

from torch import nn

from luthier.api import Method, is_of_head, layout_of, refuse_untrained_head


class ReadingMethod(Method):
    """A method of a network that reads whole texts; it is refused where the network is not fit, and proved once."""

    likelihood = False
    trains_likelihood = False
    is_generative = False

    def _know(self, network: nn.Module) -> None:
        """Take what the method needs to know of a network; RecipeError where it is not fit. Any is, if not said."""

    @abstractmethod
    def _prove(self) -> float:
        """Prove that texts of a batch are computed as alone, and give the seconds that it took."""

    def _when_adapted(self) -> None:
        """What is done and said of the network when it is adapted, before it is proved."""

    def load(self) -> None:
        super().load()
        self._know(self.network)

    def take(self, network: nn.Module) -> None:
        super().take(network)
        self._know(network)

    def configure_model(self) -> None:
        """Load, adapt and prove the network."""
        proved = self.adapted
        super().configure_model()
        self._when_adapted()
        if not proved and not any(weight.is_meta for weight in self.network.parameters()):
            self.facts["Proof before training"] = f"each text as alone ({self._prove():.2f} s)"

    def _say_layout(self) -> None:
        layout = layout_of(self.network)
        if layout.reason:
            self.facts["Texts of a batch"] = f"computed {layout.packed} under {layout.attention}: {layout.reason}"


class HeadMethod(ReadingMethod):
    """A method that trains a new head beside the other weights, `head_rate` times as fast as these."""

    resumable = ("head_rate",)
    head_rate: float

    def _when_adapted(self) -> None:
        """RecipeError where the new head is not trained."""
        refuse_untrained_head(self.network, self.adaptation)

    def rate(self, name: str) -> float:
        """The factor that the adaptation has for this weight, times `head_rate` for the new head."""
        return super().rate(name) * (self.head_rate if is_of_head(name, self.network) else 1.0)
