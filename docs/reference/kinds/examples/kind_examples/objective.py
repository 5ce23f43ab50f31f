"""An objective of preference pairs."""

from torch import Tensor
from torch.nn.functional import softplus

from luthier.api import PreferencePairs


def margin(pairs: PreferencePairs, *, beta: float = 0.1, least: float = 1.0) -> Tensor:
    """softplus(`least` - β (log-ratio of the chosen - log-ratio of the rejected answer)) of each pair."""
    return softplus(least - beta * pairs.log_ratio_difference)
