"""Rewards: one file for each, none of which imports torch unless a model computes it."""
