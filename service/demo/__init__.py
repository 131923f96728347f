"""The clinic's page, and a CRM to look at."""
