"""How tensors of the same place become one; one way a file."""
