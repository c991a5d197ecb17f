"""What holds after lesson patching 05, in the kernel that ran it."""

assert all(
    steps[part.steps].max() == today
    for name, geometry in geometries.items()
    if "Horizon" not in name
    for part in getattr(
        geometry.neighborhood(domain, today), "spans", (geometry.neighborhood(domain, today),)
    )
)
assert TemporalRandom(5, seed=7).anchors(domain, None) == samplers[3].anchors(domain, None)
assert filled.dims == series.dims
assert np.isnan(filled).mean() < 0.5 * np.isnan(series).mean()
assert np.array_equal(highest[when >= 0], np.nanmax(ndvi[:, when >= 0], axis=0))
assert not is_filled.values[whole][:, kept.values[whole].all(axis=0)].any()
assert low <= gain.mean() <= high
assert gaps[1] < gaps[0]
assert product.n_anchors(cube) == len(space.anchors(cube)) * len(range(0, len(dates), 2))
for window in windows.values():
    weights = window.weights(month, 30)
    assert (weights > 0).all()
    assert np.array_equal(window.weights(month, 8), weights[-8:])
assert len(aligned.anchors(cube)) == coupled.n_anchors(cube) == 3
if real:
    assert ((clear > 0.9).sum(), (clear < 0.1).sum()) == (55, 51)
    assert f"{dates[winner]:%m-%d}" == "12-27"
    assert red < 0.005
    assert f"{false_day:%Y-%m-%d}" not in {f"{dates[whole][i]:%Y-%m-%d}" for i in largest}
