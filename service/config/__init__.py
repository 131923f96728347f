"""`leads.toml` becomes a configuration, or every mistake in it."""
