"""The report of a run: one HTML file with all that was seen, and no network."""
