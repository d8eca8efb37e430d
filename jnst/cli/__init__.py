"""The command line: one file a group of commands; the only one that prints."""
