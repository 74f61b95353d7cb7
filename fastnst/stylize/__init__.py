"""From picture to picture with a trained network."""
