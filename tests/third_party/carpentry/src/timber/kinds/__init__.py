from timber.kinds.benches import Bench, Vice

__all__ = ["Bench", "Vice"]
