"""The command line: the recipe command, the verbs, help and completion; what it does is in the rooms below."""
