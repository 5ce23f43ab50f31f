"""Jobs of the managed service: what of a recipe a request and a Nova recipe can say, and what they cannot."""
