"""`[destinations.NAME]` becomes a destination: what it is sent, and what its answers mean."""
