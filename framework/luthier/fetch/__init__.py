"""What is fetched or made once and kept: packages, archives, the cache."""
