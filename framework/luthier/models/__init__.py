"""Where networks come from and how they load."""
