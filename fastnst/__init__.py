"""fastnst: train and apply feed-forward style networks."""

from __future__ import annotations

__version__ = "0.1.0"
