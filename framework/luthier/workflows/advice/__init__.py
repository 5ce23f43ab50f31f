"""`luthier advise`: which recipes to compare first, from what is known of data and machine."""
