"""The settings of a part as its source says them, read by griffe without importing the module."""
