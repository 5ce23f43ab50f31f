import timber.kinds.benches


class Tenon(timber.kinds.benches.Bench):
    """Inherits by attribute."""
