"""What is a model asked to do? One task a file."""
