"""Completion in shells: scripts that ask `cricket __complete WORDS...`, and what answers them."""
