"""What is kept, as records in a file that knows no server and back from there, or put under another secret."""
