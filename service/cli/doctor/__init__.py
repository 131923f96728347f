"""A website's page, and what must change on it so that its forms reach the service."""
