"""How what several networks find likely becomes one distribution over the next token."""
