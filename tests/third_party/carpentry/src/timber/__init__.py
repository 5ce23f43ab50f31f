"""Another package, which re-exports what its modules define."""

from .kinds import *
from .kinds.benches import Bench as Workbench
from .vocabulary import Grain, Ratio
