"""Who may enter the desk, and what they did there."""
