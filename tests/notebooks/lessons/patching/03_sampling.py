"""What holds after lesson patching 03, in the kernel that ran it."""

assert len(anchors["regular stride"]) == 20 * 8
assert len(anchors["random"]) == 140
assert set(spread["regular stride"]) == {200.0}
assert spread["random"].min() < 50
assert scene.shape[1:] == (3935, 1599)
assert SpatialRandom(3, seed=8).anchors(field.domain, chip) != found
assert batch.shape == (len(shore), 2, 96, 96)
assert len(days) > 10
assert picked["random, 6"] == [
    patch.indices
    for patch in TemporalPatcher(TemporalFixedLookback(5), TemporalRandom(6, seed=7)).split(series)
]
for refusal, attempt in (
    (PatchError, lambda: SpatialExplicit([(3900, 0)]).anchors(field.domain, chip)),
):
    try:
        attempt()
    except refusal:
        continue
    raise AssertionError(f"no {refusal.__name__}")
