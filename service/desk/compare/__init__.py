"""A CRM's export, read and held beside the leads that were sent there."""
