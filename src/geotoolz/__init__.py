"""geotoolz."""
