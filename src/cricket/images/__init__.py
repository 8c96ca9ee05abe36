"""Images: references, registries, content, layers, snapshots, the index, and what is done to them as a whole."""
