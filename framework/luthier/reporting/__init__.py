"""What happened, for people: a page that works offline, a table for the terminal, and the record behind both."""
