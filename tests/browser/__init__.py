"""What a visitor sees and does, in a real Chromium, against a real service."""
