"""Runs that are kept under the hash of what they depend on: what was carried out once is not carried out again."""
