"""What holds after lesson patching 01, in the kernel that ran it."""

assert len(patches) == patcher.n_anchors(scene) == 6 * 5
row, col = patch.anchor
assert tuple(patch.data.transform @ (0, 0)) == tuple(scene.transform @ (col, row))
assert np.array_equal(patch.data.values, scene.values[:, row : row + 96, col : col + 96])
assert np.shares_memory(patch.data.values, scene.values)
assert np.abs(left - right).max() > 1
assert back.shape == scene.shape
assert 0 < smallest < 1e-7
assert all(window.weights(patcher.geometry).min() > 0 for window in gallery.values())
for refusal, attempt in (
    (
        PatchError,
        lambda: SpatialPatcher(
            patcher.geometry, patcher.sampler, gallery["SpatialCustom(ring)"]
        ).get_config(),
    ),
    (
        PatchError,
        lambda: SpatialCustom(lambda shape: np.hanning(96)[:, None] * np.hanning(96) - 0.1).weights(
            patcher.geometry
        ),
    ),
):
    try:
        attempt()
    except refusal:
        continue
    raise AssertionError(f"no {refusal.__name__}")
