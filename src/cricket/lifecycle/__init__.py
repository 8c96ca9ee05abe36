"""The native engine: one file per verb, and recovery, which runs the same code after a crash."""
