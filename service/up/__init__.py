"""`leads up`: all processes and a server of their own on one machine."""
