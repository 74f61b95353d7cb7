"""Training: the only room that knows Lightning and TensorBoard."""
