"""Container Device Interface (CDI 0.3 to 1.0): devices described by files, injected into specs."""
