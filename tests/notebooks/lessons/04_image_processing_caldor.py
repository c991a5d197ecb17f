"""What holds after lesson 04, in the kernel that ran it."""

assert before.shape == after.shape
assert (unusable.values >= drop(before).values).all()
assert (unusable.values >= drop(after).values).all()
assert not known[unusable.values].any()
assert low < estimate.area[0] < high
assert all(np.diff(by_limit) <= 0)
for chain in steps.values():
    shown = chain(valley).values
    assert shown.shape == (3, *valley.shape[1:])
assert np.nanmin(shown) >= 0
assert np.nanmax(shown) <= 1
