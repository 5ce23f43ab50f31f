"""What the service asks of a file and of a request, and where that stands written."""
