"""A strategy and a tracker."""
