"""One way to choose examples a file."""
