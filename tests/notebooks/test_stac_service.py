"""The STAC service that a lesson starts answers as a service does."""

import sys
from pathlib import Path

import pystac
import pytest
from tiny_scenes import make_scene, scene_bbox

from geocatalog import from_stac_search

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def service(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "notebooks" / "servers"))
    sys.modules.pop("stac_service", None)
    from stac_service import StacService

    days = range(1, 6)
    items = [
        pystac.Item.from_dict(
            make_scene(tmp_path, f"S{day}", when=f"2024-06-{day:02d}T18:00:00Z", cloud=10.0 * day)
        )
        for day in days
    ]
    with StacService(items) as running:
        yield running


def test_it_pages_and_filters_by_collection_box_time_and_cloud(service):
    def found(**asked):
        return from_stac_search(service.url, asset_key="B04", page_size=2, **asked).gdf

    every = found(collections="sentinel-2-l2a", bbox=scene_bbox(), datetime="2024-06")
    assert every.stac_item_id.tolist() == [f"S{day}" for day in range(1, 6)]
    assert service.searches == 3
    assert len(found(collections="naip")) == len(found(bbox=(0, 0, 1, 1))) == 0
    assert found(datetime="2024-06-04/..").stac_item_id.tolist() == ["S4", "S5"]
    cloudless = found(query={"eo:cloud_cover": {"lte": 20}}, extra_properties=("eo:cloud_cover",))
    assert cloudless["eo:cloud_cover"].tolist() == [10.0, 20.0]
