"""What stylization is judged by: the frozen backbone and the perceptual loss."""
