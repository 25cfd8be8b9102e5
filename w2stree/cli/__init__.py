"""The command line: app.py is the door, each command a file."""
