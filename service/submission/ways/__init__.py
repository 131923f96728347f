"""What form builders, ad platforms and calendars send: a row for each, and one reader for all."""
