"""What computes a network's pass: OpenVINO, or PyTorch."""
