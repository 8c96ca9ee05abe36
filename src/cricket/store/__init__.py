"""Durable records of sandboxes and containers, answered from memory."""
