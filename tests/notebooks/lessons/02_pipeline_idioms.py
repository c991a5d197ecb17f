"""What holds after lesson 02, in the kernel that ran it."""

assert pauses == [0.05]
assert door(scene) is scene
assert len(reasons) == 2
assert np.array_equal(measured, product(scene))
assert slowest == "Smooth"
assert (cached.hits, cached.misses) == (1, 2)
assert np.array_equal(first, second)
assert note["input_hash"] == content_hash(make_scene(1))
assert cache.misses == 0
assert all(again[name] is None or np.array_equal(again[name], maps[name]) for name in NAMES)
assert np.array_equal(from_mirror, make_scene(2))
for refusal, attempt in (
    (QCError, lambda: door(holes)),
    (QCError, lambda: door(as_scene(np.full(scene.shape, 65_535, "uint16")))),
):
    try:
        attempt()
    except refusal:
        continue
    raise AssertionError(f"no {refusal.__name__}")
