"""Rewards for brevity."""
