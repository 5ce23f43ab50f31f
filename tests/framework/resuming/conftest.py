from tests.session_cache import cache, session_cache

__all__ = ["cache", "session_cache"]
