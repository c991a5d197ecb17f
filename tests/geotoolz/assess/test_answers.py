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


SPREADSHEETS = {
    "byte order mark": ("utf-8-sig", ",", "."),
    "semicolons": ("utf-8", ";", "."),
    "semicolons and decimal commas": ("cp1252", ";", ","),
    "tabs": ("utf-16", "\t", ","),
}


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("kind", SPREADSHEETS)
def test_what_spreadsheets_make_of_a_table_is_read(samples, kind, ending, tmp_path):
    encoding, separator, decimal = SPREADSHEETS[kind]
    filled = samples.assign(reference=pd.array([1, 2, 3, None] * 5, "Int64"))
    moved = filled.set_geometry(filled.geometry.translate(0.25, 0.5))
    path = write_samples(moved, tmp_path / "samples.csv")
    table = pd.read_csv(path).assign(remark="Wäldchen")
    text = table.to_csv(index=False, sep=separator, decimal=decimal, lineterminator=ending)
    text += separator * 11 + ending  # a row of nothing
    path.write_bytes(text.encode(encoding))
    assert read_answers(path, samples)["reference"].equals(filled["reference"])
    alone = read_answers(path)
    assert alone.geometry.geom_equals_exact(moved.geometry, 1e-6).all()
    assert alone["weight"].to_numpy() == pytest.approx(samples["weight"].to_numpy())
    assert set(alone["remark"]) == {"Wäldchen"}


@pytest.mark.parametrize("ending", [".gpkg", ".csv"])
def test_answers_of_64_bits_stay_exact_beside_gaps(samples, ending, tmp_path):
    large = [2**53 + 1, None, -(2**62) - 1, 2**63 - 1] * 5
    filled = samples.assign(reference=pd.array(large, "Int64"))
    path = write_samples(filled, tmp_path / f"samples{ending}")
    assert read_answers(path)["reference"].tolist() == filled["reference"].tolist()
    assert read_answers(path, samples).equals(filled)


@pytest.mark.parametrize("ending", [".gpkg", ".csv"])
def test_answers_to_another_draw_are_refused(samples, ending, tmp_path):
    crops = np.random.default_rng(0).integers(1, 4, (40, 40)).astype("uint8")
    other = sample_design(GeoTensor(crops, PLACE, "EPSG:32632", 0), 20, seed=1)
    path = write_samples(other.assign(reference=1), tmp_path / f"samples{ending}")
    with pytest.raises(ValueError, match="give the samples that were written"):
        read_answers(path, samples)
    assert read_answers(path, other)["reference"].eq(1).all()


@pytest.mark.parametrize("answer", ["inf", "1e30", "nan?", "1,5", "0x1"])
def test_odd_numbers_are_no_answers(samples, answer, tmp_path):
    path = write_samples(samples.assign(reference=answer), tmp_path / "samples.csv")
    with pytest.raises(ValueError, match="whole numbers or nothing"):
        read_answers(path, samples)


def test_an_answer_needs_the_number_of_its_sample(samples, tmp_path):
    path = edited(
        samples, tmp_path, lambda t: t.assign(sample=t["sample"].mask(t.index == 3), reference=1)
    )
    with pytest.raises(ValueError, match="no number in its column 'sample'"):
        read_answers(path, samples)


def test_the_geometry_may_have_another_name(samples, tmp_path):
    for ending in (".gpkg", ".csv"):
        path = write_samples(samples.rename_geometry("place"), tmp_path / f"samples{ending}")
        assert read_answers(path, samples).equals(samples)


def test_of_several_layers_the_samples_are_read(samples, tmp_path):
    path = tmp_path / "project.gpkg"
    samples.iloc[:3].to_file(path, layer="notes")
    samples.assign(reference=2).to_file(path, layer="samples")
    assert read_answers(path, samples)["reference"].eq(2).all()
