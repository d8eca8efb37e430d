"""Images larger than one device would hold: tiles."""
