"""`cricket doctor`: what is wrong with this host, why it matters and what to do. See `checks` for the list."""
