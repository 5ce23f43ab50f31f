"""A comparison in rounds, which stops each contender that is known not to be the best."""
