"""The token ledger of an example: on a terminal, as JSON, as a page."""
