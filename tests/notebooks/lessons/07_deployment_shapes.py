"""What holds after lesson 07, in the kernel that ran it."""

# 1: looking changes nothing
assert np.array_equal(greenness.values, vegetation(scene).values, equal_nan=True)

# 2: killed by the signal, well before the end
assert type(run.exception()).__name__ == "TerminatedWorkerError"
assert 12 <= before < len(rows) - 1
assert len(products) == len(rows) - 1
assert row.extras["item_id"] not in set(products.gdf.item_id)

# 4, 5, 6: georeferences, refusals, hashes
assert by_hand.status_code == 200
assert by_hand.headers["X-Hash"] == vegetation.config_hash
assert broken.status_code == 500
assert described["config_hash"] == vegetation.config_hash
assert lost.status_code == 404
statuses = {name: each.status_code for name, each in answers.items()}
assert statuses.pop("an honest one") == 200
assert statuses.pop("long work") == 504
assert statuses.pop("a large box") == 413
assert statuses.pop("to a server that takes none") == 403
assert set(statuses.values()) == {422}

# 7: the server made each tile once, and kept it
assert f'geostack_tiles_total{{cache="miss"}} {len(shuffled)}' in counted
assert f'geostack_tiles_total{{cache="hit"}} {9 * len(shuffled)}' in counted
assert np.median(waits["warm", 1][0]) < np.median(waits["cold", 1][0])
assert all(tile.headers["Content-Type"] == "image/png" for tile in mosaic.values())

# 8: each refusal has its reason, and the spoilt ones never pass
assert sum(reasons.values()) == len(rows) - len(checked)
assert reasons[""] == 1, "the damaged file"
assert all(np.isfinite(checked.gdf.mean_ndvi))
assert outcomes[:3] == [None] * 3
assert len(said) == 3
if region == "Flanders":
    assert len(odd) == reasons["Green"] == 1
    assert len(odd_and_checked) == 0

# 9: it fits itself
assert verified.changed_versions == {}
assert verified.result_hash == frozen.result_hash

# 10: on the simulated shore doubt pays
gain = curves[next(iter(trials)), "active"] - curves[next(iter(trials)), "random"]
assert gain[:, -1].mean() > 3
assert (gain.mean(axis=1) > 0).sum() >= 9

# 11, 12
assert cube.shape[1:] == optical.shape[1:]
assert cube.transform == optical.transform
assert [run.run_count for run in runs] == [2] * 6
assert set(requested.values()) == {2}
