"""From YAML to pods: parsing, types, defaults, validation, workloads."""
