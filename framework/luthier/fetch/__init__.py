"""Fetching of packages and archives, and the cache."""
