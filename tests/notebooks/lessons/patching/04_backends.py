"""What holds after the lesson, in the kernel that ran it."""

import numpy as np

# Every backend gives what one call on the whole scene gives, on the grid that it was made of.
whole = ndvi(*scene.values)
assert len(results) == 4
for made in results.values():
    assert made.crs == scene.crs
    assert made.transform.almost_equals(scene.transform)
    np.testing.assert_allclose(made.values, whole, atol=1e-6)
assert values.shape == dem.shape
rows, cols = np.indices(merged.shape)
np.testing.assert_allclose(merged, rows + 0.5 * cols, atol=1e-9)

# Tables and their cubes hold the same plots.
assert len(plots) == 5 * 6
assert plots["smooth"].std() < plots["nir"].std()
near = around.patch_at(vector, 7)
np.testing.assert_allclose(np.asarray(near.data), table[near.indices.index].T)
assert len(patch.indices.index) == 5
assert {found[name][0] for name in rasters} == {300 * 250}
