"""The demo pair of pictures and the tables of numbers that are shipped."""
