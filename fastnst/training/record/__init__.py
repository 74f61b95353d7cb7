"""What a run leaves behind: its description, logs and saves."""
