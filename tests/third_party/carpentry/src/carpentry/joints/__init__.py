from .dovetail import Dovetail
from .tenon import Tenon as Mortise
