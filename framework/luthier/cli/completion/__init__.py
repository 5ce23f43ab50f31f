"""What could come next on a command line, for bash, zsh and fish."""
