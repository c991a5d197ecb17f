"""geostack."""
