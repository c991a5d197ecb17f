import geopandas as gpd
import pandas as pd
import pyogrio
import pytest
import shapely
from footprints import utc

from geocatalog import CatalogError, build_vector_catalog


def fields(path, crs=32610, layer=None, shift=0.0, **columns):
    table = gpd.GeoDataFrame(
        {"crop": ["wheat", "maize"]} | columns,
        geometry=[
            shapely.box(shift, 0, shift + 10, 10),
            shapely.box(shift + 20, 5, shift + 30, 25),
        ],
        crs=crs,
    )
    if str(path).endswith(".parquet"):
        table.to_parquet(path)
    else:
        table.to_file(path, **({"layer": layer} if layer else {}))
    return str(path)


@pytest.mark.parametrize("name", ["f_20240601.gpkg", "f_20240601.geojson", "f_20240601.parquet"])
def test_headers_become_rows(tmp_path, name):
    catalog = build_vector_catalog([fields(tmp_path / name, crs=4326)], r"_(?P<date>\d{8})")
    row = next(catalog.iter_rows())
    assert catalog.backend == "vector"
    assert row.bounds == (0, 0, 30, 25)
    assert row.start_time == utc("2024-06-01")
    assert row.extras["n_features"] == 2
    assert row.extras["fields"] == "crop"


def test_every_layer_is_a_row(tmp_path):
    path = tmp_path / "two.gpkg"
    fields(path, layer="north")
    fields(path, layer="south", shift=100)
    both = build_vector_catalog([path])
    assert both.gdf.layer.tolist() == ["north", "south"]
    assert build_vector_catalog([path], layer="south").total_bounds == (100, 0, 130, 25)
    with pytest.raises(CatalogError, match=r"no layer 'east'.*north.*south"):
        build_vector_catalog([path], layer="east")


def test_mixed_crs_need_a_target(tmp_path):
    paths = [fields(tmp_path / "a.gpkg"), fields(tmp_path / "b.gpkg", crs=4326)]
    with pytest.raises(CatalogError, match="target_crs="):
        build_vector_catalog(paths)
    assert len(build_vector_catalog(paths, target_crs=4326)) == 2


@pytest.mark.filterwarnings("ignore:.crs. was not provided:UserWarning")
def test_no_features_no_crs_no_file(tmp_path):
    empty = tmp_path / "empty.gpkg"
    gpd.GeoDataFrame({"crop": []}, geometry=[], crs=4326).to_file(empty)
    bare = fields(tmp_path / "bare.gpkg", crs=None)
    for path, message in [
        (empty, "no features"),
        (bare, "no CRS"),
        ("/no/such.gpkg", r"such\.gpkg"),
    ]:
        with pytest.raises(CatalogError, match=message):
            build_vector_catalog([path])


def test_real_files(shared_data):
    states = build_vector_catalog([shared_data / "vector" / "admin1-us.geojson"])
    assert states.gdf.n_features.tolist() == [51]
    houses = build_vector_catalog([shared_data / "vector" / "overture_buildings.parquet"])
    assert houses.gdf.n_features.tolist() == [100]
    assert states.crs.to_epsg() == 4326


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_tables_without_geometry_are_no_layers_and_are_listed(tmp_path, on_error):
    path = fields(tmp_path / "q.gpkg", layer="fields")
    pyogrio.write_dataframe(
        pd.DataFrame({"styleQML": ["<qgis/>"]}), path, layer="layer_styles", append=True
    )
    made = build_vector_catalog([path], on_error=on_error)
    assert made.gdf.layer.tolist() == ["fields"]
    assert made.skipped == [(path, "layer 'layer_styles' is a table without geometry")]
    with pytest.raises(CatalogError, match="without geometry"):
        build_vector_catalog([path], layer="layer_styles")


def test_skipping_keeps_the_good_layers_of_a_file(tmp_path):
    path = fields(tmp_path / "q.gpkg", layer="fields")
    gpd.GeoDataFrame({"a": []}, geometry=[], crs=32610).to_file(path, layer="empty")
    with pytest.raises(CatalogError, match=r"layer empty.*no features"):
        build_vector_catalog([path])
    made = build_vector_catalog([path], on_error="skip")
    assert made.gdf.layer.tolist() == ["fields"]
    assert made.skipped[0][0] == path
    assert "no features" in made.skipped[0][1]


def test_a_layer_of_one_point_is_a_point(tmp_path):
    path = tmp_path / "p.geojson"
    gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(3, 4)], crs=4326).to_file(path)
    made = build_vector_catalog([path])
    assert made.gdf.geometry[0] == shapely.Point(3, 4)
    assert len(made.query(bounds=(3, 4, 3, 4))) == 1
