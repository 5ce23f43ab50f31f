"""The one door to the disk and the console: what leaves is whole, durable and without secrets."""
