"""The reference: optimization of single pictures, recipes of the literature, validation."""
