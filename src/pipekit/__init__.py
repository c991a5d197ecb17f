"""pipekit."""
