"""The commands that take what is kept elsewhere: into a file and back, to another server."""
