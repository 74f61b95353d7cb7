"""Networks as files for other programs: ONNX, checked against PyTorch."""
