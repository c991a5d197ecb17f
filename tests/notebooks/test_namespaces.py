"""What lessons leave behind holds in more ways than their readers need to see."""

import runpy
import warnings

import numpy as np
import pytest
from notebook_files import ROOT

pytestmark = pytest.mark.slow


def names_of(lesson, monkeypatch_module):
    """Return the names that the cells of a lesson leave behind."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    path = ROOT / "notebooks" / f"{lesson}.py"
    monkeypatch_module.chdir(path.parent)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a reader may see a warning; the runner forbids them
        return runpy.run_path(str(path))


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def backends(monkeypatch_module):
    pytest.importorskip("xvec")
    return names_of("patching/04_backends", monkeypatch_module)


@pytest.fixture(scope="module")
def area(monkeypatch_module):
    return names_of("assessment/01_area_and_accuracy", monkeypatch_module)


@pytest.fixture(scope="module")
def validation(monkeypatch_module):
    pytest.importorskip("sklearn")
    return names_of("assessment/02_honest_validation", monkeypatch_module)


def test_backends_give_what_one_call_on_the_whole_scene_gives(backends):
    scene = backends["scene"]
    expected = backends["ndvi"](*scene.values)
    assert len(backends["results"]) == 4
    for made in backends["results"].values():
        assert made.crs == scene.crs
        assert made.transform.almost_equals(scene.transform)
        np.testing.assert_allclose(made.values, expected, atol=1e-6)


def test_results_come_back_on_the_grid_that_they_were_made_of(backends):
    assert backends["values"].shape == backends["dem"].shape
    rows, cols = np.indices(backends["merged"].shape)
    np.testing.assert_allclose(backends["merged"], rows + 0.5 * cols, atol=1e-9)


def test_tables_and_their_cubes_hold_the_same_plots(backends):
    plots, patch = backends["plots"], backends["patch"]
    assert len(plots) == 5 * 6
    assert plots["smooth"].std() < plots["nir"].std()
    near = backends["around"].patch_at(backends["vector"], 7)
    np.testing.assert_allclose(np.asarray(near.data), backends["table"][near.indices.index].T)
    assert len(patch.indices.index) == 5
    assert {backends["found"][name][0] for name in backends["rasters"]} == {300 * 250}


def test_shares_and_allocations_sum_to_the_whole(area):
    np.testing.assert_allclose(area["estimate"].shares.sum(), 1)
    assert all(sum(rule.values()) == area["size"] for rule in area["rules"].values())
    assert len(area["unanswered"](area["answers"])) == 2


def test_intervals_hold_as_often_as_the_lesson_says(area):
    if not area["REAL"]:
        pytest.skip("said of the real scene, which no source has here")
    wald, wilson = area["hits"]["wald"], area["hits"]["wilson"]
    assert wald[0] < 0.8 < 0.92 < wilson[0]
    assert (wilson[1:] > 0.94).all()


def test_folds_are_apart_and_scores_fall_away_from_home(validation):
    checked = validation["CheckedFolds"](validation["folds"], buffer=199)
    assert len(list(checked.split(validation["chips"]))) == 4
    found = validation["found"]
    assert found["away"][0] < found["home"][0] - 0.05


def test_coordinates_are_no_help_in_another_place(validation):
    if validation["real"] is None:
        pytest.skip("said of the real scene, which no source has here")
    assert validation["results"]["without"][2] > validation["results"]["with"][2]
