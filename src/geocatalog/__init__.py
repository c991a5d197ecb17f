"""geocatalog."""
