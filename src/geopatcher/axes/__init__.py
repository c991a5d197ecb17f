"""Three of a spatial patcher's four axes: geometry, sampler, window."""
