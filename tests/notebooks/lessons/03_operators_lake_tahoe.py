"""What holds after lesson 03, in the kernel that ran it."""

if where is BOLZANO:
    assert scene.shape == (4, 705, 927)
    assert not drop.all()
    assert drop.any()
assert lake.shape == (4, 3935, 1599)
assert tuple(lake.bounds) == (750180, 4311890, 766170, 4351240)
if lake.attrs["source"] == "simulated":
    assert lake.attrs["processing_baseline"] >= "04.00"
assert np.array_equal(harmonize(raw).values, lake.values)
assert np.array_equal(harmonize(lake).values, lake.values)

assert np.array_equal(DNToReflectance()(with_scl).values[4], with_scl.values[4])
unmasked = ndvi(with_scl[:4]).values
assert np.array_equal(clear.values[~drop], unmasked[~drop], equal_nan=True)
assert np.array_equal(
    water, everywhere & ~no_ground(load_s2_chip(**TAHOE, bands=("B03", "B04", "B08", "SCL"))).values
)
assert brightness(scene).shape == scene.shape[1:]
assert np.nanmax(np.abs(snapshot["reflectance"].values)) < 2
try:
    instrumented(scene[:2])
except QCError:
    pass
else:
    raise AssertionError("two bands must not pass a check for four")
