"""More than one device, or less than one picture at once: meshes, tiles."""
