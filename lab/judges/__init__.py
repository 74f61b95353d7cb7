"""Judges of how much of a photograph can be told in a stylized picture; none is in any loss."""
