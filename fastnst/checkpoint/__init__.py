"""Checkpoints: what a file says of itself, read without trust, found by name, mixed."""
