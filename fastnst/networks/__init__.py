"""The transfer networks: what they are, and as PyTorch's modules."""
