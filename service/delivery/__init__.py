"""What is due is claimed, sent and settled."""
