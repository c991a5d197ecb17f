"""The LitServe server answers what the operator computes, and refuses what is no chip."""

import base64
import pickle
from pathlib import Path

import numpy as np
import pytest
import requests
from georeader.geotensor import GeoTensor
from rasterio.io import MemoryFile

pytest.importorskip("litserve", reason="needs the serve extra")

from tiny_scenes import make_scene, scene_bbox

from geostack import load_s2_chip
from geostack.serve.pixels import as_geotiff
from geostack.sources.archive import ArchiveSource
from geotoolz import NDVI, DNToReflectance, SklearnOp, fit_pixels

ROOT = Path(__file__).resolve().parents[2]
SERVERS = str(ROOT / "notebooks" / "servers")
ITEM = "S2B_MSIL2A_20240614T183919_R070_T10SGJ_20240614T225657"
BANDS = ("B04", "B08")


@pytest.fixture(scope="module", autouse=True)
def importable():
    """What the lesson and the benchmarks start, on the path."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in (str(ROOT / "benchmarks"), SERVERS):
            patch.syspath_prepend(folder)
        yield


@pytest.fixture(scope="module")
def operator():
    """A classifier fitted on two made pixels, with its preprocessing."""
    from sklearn.tree import DecisionTreeClassifier

    chip = np.array([[[0.02, 0.3]], [[0.01, 0.4]]])
    tree = fit_pixels(DecisionTreeClassifier(random_state=0), chip, np.array([[0, 1]]))
    return DNToReflectance() | SklearnOp(tree)


def save(operator, path):
    path.write_bytes(pickle.dumps((operator, BANDS)))
    return path


def serving(path):
    from servers import running_module

    return running_module("model_server", str(path), health="/health", env={"PYTHONPATH": SERVERS})


def ask(url, chip):
    """Send a chip to the server and return its answer, as the notebook does."""
    tiff = base64.b64encode(as_geotiff(chip, None)).decode()
    return requests.post(f"{url}/predict", json={"tiff": tiff}, timeout=60)


def labels(answer):
    with MemoryFile(base64.b64decode(answer.json()["tiff"])) as memory, memory.open() as file:
        return GeoTensor(file.read(1), file.transform, file.crs)


@pytest.fixture(scope="module")
def url(operator, tmp_path_factory):
    path = save(operator, tmp_path_factory.mktemp("model") / "model.pkl")
    with serving(path) as address:
        yield address


@pytest.fixture(scope="module")
def chip(tmp_path_factory):
    root = tmp_path_factory.mktemp("scenes")
    make_scene(root, ITEM)
    return load_s2_chip(
        bbox=scene_bbox(inset=1_500), bands=BANDS, source=ArchiveSource([root]),
        date_range="2024-06-14/2024-06-14", tile=None,
    )  # fmt: skip


def test_the_answer_is_what_the_operator_computes(url, operator, chip):
    answer, here = labels(ask(url, chip)), operator(chip)
    np.testing.assert_array_equal(answer.values, here.values)
    assert answer.values.dtype == here.values.dtype
    assert answer.transform == here.transform
    assert str(answer.crs) == str(here.crs)


def test_several_clients_get_their_own_answers(url, operator, chip):
    from concurrent.futures import ThreadPoolExecutor

    parts = [chip[:, row : row + 16] for row in range(0, 64, 16)]
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda part: labels(ask(url, part)), parts))
    for answer, part in zip(answers, parts, strict=True):
        np.testing.assert_array_equal(answer.values, operator(part).values)
        assert answer.transform == part.transform


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"tiff": "!!"}, "no base64"),
        ({"tiff": base64.b64encode(b"GIF89a").decode()}, "no TIFF"),
        ({"picture": ""}, "the body must be"),
        ({"tiff": 5}, "the body must be"),
        ([1, 2], "the body must be"),
    ],
)
def test_what_is_no_chip_is_refused_with_a_reason(url, body, reason):
    answer = requests.post(f"{url}/predict", json=body, timeout=30)
    assert answer.status_code == 422
    assert reason in answer.json()["detail"]


def test_a_chip_of_other_bands_is_a_problem(url, chip):
    answer = ask(url, chip[:1])
    assert answer.status_code == 422
    assert "takes 2 bands" in answer.json()["detail"]


def test_no_page_of_its_loads_scripts_from_elsewhere(url):
    assert requests.get(f"{url}/docs", timeout=10).status_code == 404
    assert requests.get(f"{url}/openapi.json", timeout=10).status_code == 404


def test_the_api_pickles_with_what_litserve_sets_on_it(tmp_path):
    from model_server import ModelAPI

    api = ModelAPI(save(NDVI(*BANDS), tmp_path / "ndvi.pkl"))
    api.api_path = "/other"
    again = pickle.loads(pickle.dumps(api))
    again.setup("cpu")
    assert again.operator == NDVI(*BANDS)
    assert (again.bands, again.api_path) == (BANDS, "/other")


def test_a_missing_model_ends_the_server(tmp_path):
    with (
        pytest.raises(RuntimeError, match=r"(?s)ended with status.*"),
        serving(tmp_path / "x"),
    ):
        pass
