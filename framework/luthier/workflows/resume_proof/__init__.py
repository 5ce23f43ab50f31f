"""A run is killed at points of its training, goes on, and is compared with one that was not: `luthier prove-resume`."""
