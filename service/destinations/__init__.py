"""A lead becomes the request that a CRM is sent, and its answer an outcome; one file a kind."""
