"""The Redis server: how it is reached, what it must be like, how scripts run on it."""
