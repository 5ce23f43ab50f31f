"""The kinds of files of Amazon Bedrock: what a row of each says, read and written without loss."""
