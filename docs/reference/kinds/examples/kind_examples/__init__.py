"""The examples of the reference, as a plugin: imported by every command, so it imports nothing heavy."""
