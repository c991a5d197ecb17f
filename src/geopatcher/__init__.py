"""geopatcher."""
