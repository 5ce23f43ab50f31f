"""Contract suites that authors of plugins inherit."""
