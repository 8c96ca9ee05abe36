"""A whole Cricket for tests: daemon, network, registry, images, client and leak check. See README.md."""
