"""What a checkpoint is worth: likeness, kept, iterations of optimization."""
