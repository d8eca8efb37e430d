"""More than one device, or less than one picture: meshes."""
