"""The client: an engine without any window, and fronts that show what it does."""
