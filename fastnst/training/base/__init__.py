"""A network of many styles at once, from which runs of one style start."""
