"""One field: what was typed becomes a value or a problem; phone numbers above all."""
