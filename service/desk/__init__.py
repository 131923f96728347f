"""The pages for whoever owns the leads: who may enter, what they see, and what they may set right."""
