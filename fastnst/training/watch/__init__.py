"""What looks at a run while it trains, and steps in."""
