"""Configuration: structs with defaults, TOML files with drop-ins, validation that names file and key."""
