import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine

from geotoolz.assess import read_answers, sample_design, unanswered, write_samples

PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)


@pytest.fixture
def samples():
    crops = np.random.default_rng(0).integers(1, 4, (40, 40)).astype("uint8")
    return sample_design(GeoTensor(crops, PLACE, "EPSG:32632", 0), 20)


@pytest.mark.parametrize("ending", [".gpkg", ".csv"])
def test_samples_and_answers_come_back(samples, ending, tmp_path):
    filled = samples.copy()
    filled.loc[3:9, "reference"] = 2
    path = write_samples(filled, tmp_path / f"samples{ending}")
    again = read_answers(path)
    assert again.crs == samples.crs
    assert (again.geometry == filled.geometry).all()
    pd.testing.assert_frame_equal(
        pd.DataFrame(again.drop(columns="geometry")),
        pd.DataFrame(filled.drop(columns="geometry")),
        check_dtype=False,
    )
    assert again["reference"].dtype == "Int64"
    assert unanswered(again)["sample"].tolist() == [0, 1, 2, *range(10, 20)]
    assert read_answers(path, samples).equals(filled)


@pytest.mark.parametrize("ending", [".gpkg", ".csv"])
def test_an_existing_file_keeps_its_answers(samples, ending, tmp_path):
    path = write_samples(samples, tmp_path / f"samples{ending}")
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="may hold answers"):
        write_samples(samples, path)
    assert path.read_bytes() == before
    assert len(read_answers(write_samples(samples.iloc[:5], path, overwrite=True))) == 5


def edited(samples, tmp_path, change):
    path = write_samples(samples, tmp_path / "samples.csv")
    change(pd.read_csv(path, dtype=object)).to_csv(path, index=False)
    return path


def test_a_spreadsheet_may_shuffle_drop_and_add(samples, tmp_path):
    def change(table):
        table["reference"] = "1.0"
        table["remark"] = "hedge"
        table["weight"] = "0"
        return table.drop(index=[4, 11]).sample(frac=1, random_state=0)

    path = edited(samples, tmp_path, change)
    found = read_answers(path, samples)
    assert found["weight"].equals(samples["weight"])
    assert unanswered(found)["sample"].tolist() == [4, 11]
    assert found["reference"].dropna().eq(1).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.assign(reference="forest"), "whole numbers or nothing, got 'forest'"),
        (lambda t: t.assign(reference="1.5"), "whole numbers"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "sample 0 is twice"),
        (lambda t: t.assign(sample=range(100, 120)), "sample 100 .*not drawn"),
        (lambda t: t.drop(columns="reference"), "lacks the column 'reference'"),
        (lambda t: t.drop(columns="x"), "lacks the column 'x'"),
    ],
)
def test_what_is_no_answer_is_named(samples, tmp_path, change, said):
    with pytest.raises((ValueError, KeyError), match=said):
        read_answers(edited(samples, tmp_path, change), samples)


def test_other_endings_and_missing_files(samples, tmp_path):
    with pytest.raises(ValueError, match=r"\.gpkg or \.csv"):
        write_samples(samples, tmp_path / "samples.shp")
    with pytest.raises(FileNotFoundError):
        read_answers(tmp_path / "none.csv")


def test_samples_of_a_map_without_a_crs_are_written_too(tmp_path):
    samples = sample_design(np.ones((9, 9), "uint8"), 4)
    for ending in (".gpkg", ".csv"):
        again = read_answers(write_samples(samples, tmp_path / f"s{ending}"), samples)
        assert again.equals(samples)
    assert isinstance(again, gpd.GeoDataFrame)
