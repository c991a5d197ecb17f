"""The fourth axis of a spatial patcher: how overlapping patches become one value."""
