"""Everything that a browser can see: JSON, pages, scripts, their wording, the description of the API."""
