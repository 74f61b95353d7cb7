"""Photographs as batches."""
