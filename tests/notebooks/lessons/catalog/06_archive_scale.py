"""What holds after the lesson, in the kernel that ran it."""

matching = [item for item in items if item.properties["eo:cloud_cover"] <= 30]
assert len(found) == len(scenes) == len(catalog) == min(8, len(matching))
assert set(found.gdf.stac_item_id) <= {item.id for item in matching}
assert costs["searched"][0] == 1 + -(-len(found) // 5), "the first page of the service, and pages"
assert service.searches == costs["searched"][0] - 1
assert values.shape == (len(scenes), 256, 256)
assert len(begun) == 3 + len(scenes) - 2
if not here:
    assert all(requests > 0 and up + down > 0 for requests, up, down, _ in costs.values())
