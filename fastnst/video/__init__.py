"""Clips: read, written and told apart. The only place that knows PyAV, which is an extra."""
