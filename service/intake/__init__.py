"""A submission comes to rest on a disk: in the store, or in the spool until that is back."""
