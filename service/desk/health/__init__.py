"""Whether a form is still working: fields as they arrive, refusals over time, a test lead."""
