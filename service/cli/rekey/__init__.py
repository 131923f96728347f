"""The command that moves everything that is kept to the first of several secrets and keys."""
