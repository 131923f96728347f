"""What is due is claimed, sent and settled; what is owed and forgotten is found again."""
