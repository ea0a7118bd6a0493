"""The command line: each command is one call of a public Python function."""
