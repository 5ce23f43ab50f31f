"""The folder of a run: what lies in it, who owns it, and what it says."""
