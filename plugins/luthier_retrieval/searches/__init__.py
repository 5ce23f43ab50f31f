"""Searches for passages, one class a file."""
