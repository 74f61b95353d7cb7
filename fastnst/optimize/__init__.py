"""One picture by optimization, the reference of every network; previews."""
