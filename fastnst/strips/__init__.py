"""Networks on pictures larger than memory, in strips."""
