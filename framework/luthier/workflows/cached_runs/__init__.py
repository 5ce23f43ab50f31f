"""Cached runs, found again by the hash of everything that they depend on."""
