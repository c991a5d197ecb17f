"""A CRS is a code, a definition or a name; nothing that reaches GDAL names a place."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pyproj
import pytest
import rasterio.crs
from affine import Affine
from georeader.geotensor import GeoTensor

import geotoolz as gz
from pipekit.carrier import crs_of

UTM = rasterio.crs.CRS.from_epsg(32632)
KNOWN = pyproj.CRS(32632)


@pytest.mark.parametrize(
    "value",
    [
        UTM,
        KNOWN,
        32632,
        np.int64(32632),
        "32632",
        "EPSG:32632",
        "epsg:32632",
        np.str_("EPSG:32632"),
        UTM.to_wkt(),
        KNOWN.to_wkt(),
        KNOWN.to_wkt(pretty=True),
        KNOWN.to_json(),
        KNOWN.to_json_dict(),
        UTM.to_dict(),
        "+proj=utm +zone=32 +datum=WGS84 +units=m +no_defs",
        "urn:ogc:def:crs:EPSG::32632",
        "http://www.opengis.net/def/crs/EPSG/0/32632",
        "WGS 84 / UTM zone 32N",
    ],
)
def test_every_form_of_one_crs_is_that_crs(value):
    assert crs_of(value).to_epsg() == 32632


@pytest.mark.parametrize("value", ["OGC:CRS84", "WGS84", "ESRI:54009", "EPSG:32632+5773"])
def test_other_authorities_names_and_compounds(value):
    assert crs_of(value).to_wkt()


class Listener:
    """A real server on loopback that counts who comes."""

    def __init__(self):
        came = self.came = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                came.append(self.path)
                body = UTM.to_wkt().encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_HEAD = do_GET

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.place = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def listener():
    listener = Listener()
    yield listener
    listener.server.shutdown()
    listener.server.server_close()


FORMS = [
    "http://{place}/a",
    "  http://{place}/a",
    "HTTP://{place}/a",
    "/vsicurl/http://{place}/a",
    "ESRI::http://{place}/a",
    "ESRI::/vsicurl/http://{place}/a",
    "{file}",
    "file://{file}",
    "ESRI::{file}",
    "+proj=longlat +nadgrids={file}",
    "+init={file}:1",
]


@pytest.mark.parametrize("wrap", [str, np.str_, str.encode, lambda text: {"init": text}])
@pytest.mark.parametrize("form", FORMS)
def test_a_place_is_refused_and_nobody_goes_there(listener, tmp_path, form, wrap):
    file = tmp_path / "crs.wkt"
    file.write_text(UTM.to_wkt())
    value = wrap(form.format(place=listener.place, file=file))
    before = list(listener.came)
    with pytest.raises(ValueError, match=r"never a place"):
        crs_of(value)
    assert listener.came == before


def scene():
    values = np.ones((1, 8, 8), "float32")
    return GeoTensor(values, Affine(10, 0, 760000, 0, -10, 4320000), "EPSG:32610", np.nan)


@pytest.mark.parametrize(
    "make",
    [
        lambda crs: gz.Reproject(crs=crs, resolution=10.0),
        lambda crs: gz.CropToBounds(bounds=(0, 0, 1, 1), crs=crs),
        lambda crs: gz.ReprojectLike(
            like={"crs": crs, "transform": (10, 0, 760000, 0, -10, 4320000), "shape": (4, 4)}
        ),
        lambda crs: gz.ResampleLike(
            like={"crs": crs, "transform": (10, 0, 760000, 0, -10, 4320000), "shape": (4, 4)}
        ),
        lambda crs: gz.Lambda(
            lambda x: gz.Reproject("EPSG:4326", resolution=1e-4)(
                GeoTensor(x.values, x.transform, crs, np.nan)
            )
        ),
    ],
)
@pytest.mark.parametrize("form", FORMS[:1])
def test_operators_go_nowhere(listener, make, form):
    before = list(listener.came)
    with pytest.raises(Exception, match=r"never a place|not a coordinate reference system"):
        make(np.str_(form.format(place=listener.place)))(scene())
    assert listener.came == before
