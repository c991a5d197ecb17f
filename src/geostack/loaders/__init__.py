"""One module for each product: what is asked of a source, and what its pixels mean."""
