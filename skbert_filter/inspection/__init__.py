"""Looking at a fitted filter: how good it is, beside simple rules."""
