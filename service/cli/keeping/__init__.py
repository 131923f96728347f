"""The commands that bring what is kept elsewhere: into a file and back, to another server, under another secret."""
