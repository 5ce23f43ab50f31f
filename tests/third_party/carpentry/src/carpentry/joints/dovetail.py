from ..planes import Plane


class Dovetail(Plane):
    """Inherits over a relative import."""
