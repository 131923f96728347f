"""One POST: its bytes become what was said, by whom, and what about it looks like spam."""
