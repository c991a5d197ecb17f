"""A LitServe model server: an operator that was pickled, asked for GeoTIFFs over HTTP.

    python -m geostack.serve.model_server model.pkl --port 8001

`POST /predict` takes `{"tiff": BASE64}` and answers `{"tiff": BASE64}`, both GeoTIFFs. The model
is loaded once, in a process of its own, and warm before the first request. A pickle runs code when
it is opened: serve only files that you wrote yourself.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import pickle
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from georeader.geotensor import GeoTensor

from geostack.serve.launch import running_module
from geostack.serve.limits import Limits
from geostack.serve.pixels import as_geotiff, read_upload
from geostack.serve.problem import Problem, problem_of
from pipekit import Operator

__all__ = ["ask_model", "model_api", "save_model", "serving_model"]

_SECONDS = 60.0


def save_model(operator: Operator, bands: Sequence[str], path: str | Path) -> Path:
    """Pickle an operator together with the bands it takes, and return the file's path.

    Parameters
    ----------
    operator
        The model; it is pickled.
    bands
        Names of what is sent, in the operator's order; a file that names its bands otherwise is
        refused.
    path
        The file to write.

    Examples
    --------
    >>> import tempfile
    >>> from geotoolz import NDVI
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(NDVI("B04", "B08"), ("B04", "B08"), folder + "/ndvi.pkl").name
    'ndvi.pkl'
    """
    target = Path(path)
    target.write_bytes(pickle.dumps((operator, tuple(bands))))
    return target


def model_api(path: str | Path) -> Any:
    """Return the LitServe API of a saved model.

    Raises ImportError naming the extra when LitServe isn't installed.
    """
    try:
        from litserve import LitAPI
    except ImportError as error:
        raise ImportError(
            'a model server needs litserve, not installed: pip install "geostack[serve]"'
        ) from error

    class ModelAPI(LitAPI):
        """Decode a GeoTIFF, run the operator, encode its result."""

        def setup(self, device: str) -> None:
            self.operator, self.bands = pickle.loads(Path(path).read_bytes())

        # LitServe makes a request's schema of this annotation; without one it reads plain JSON.
        def decode_request(self, request, **_):  # type: ignore[no-untyped-def]
            with _refusals():
                if not isinstance(request, dict) or not isinstance(request.get("tiff"), str):
                    raise Problem(422, 'the body must be {"tiff": BASE64}')
                try:
                    body = base64.b64decode(request["tiff"], validate=True)
                except binascii.Error:
                    raise Problem(422, "tiff is no base64") from None
                return read_upload(body, self.bands, Limits())

        def predict(self, x: GeoTensor, **_: Any) -> Any:
            with _refusals():
                return self.operator(x)

        def encode_response(self, output: Any, **_: Any) -> dict[str, str]:
            with _refusals():
                return {"tiff": base64.b64encode(as_geotiff(output, None)).decode()}

        def __reduce__(self) -> Any:
            # LitServe sends the API to its workers, and a class made in a function has no address.
            return model_api, (path,), self.__dict__

    return ModelAPI()


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn errors into answers that LitServe knows."""
    from fastapi import HTTPException

    try:
        yield
    except Exception as error:
        told = problem_of(error)
        retry = None if told.retry_after is None else {"Retry-After": str(told.retry_after)}
        raise HTTPException(told.status, told.detail, retry) from None


def serving_model(path: str | Path) -> AbstractContextManager[str]:
    """Run a model server in processes of its own while a `with` block lasts; yields its address.

        with serving_model("model.pkl") as url:
            labels = ask_model(url, chip)

    Raises what `running_module` raises.
    """
    return running_module("geostack.serve.model_server", str(path), health="/health")


def ask_model(url: str, chip: GeoTensor) -> GeoTensor:
    """Send a chip (C, H, W) to a model server and return its answer as a raster.

    Raises `Problem` with the server's status and reason when it refuses.
    """
    import requests
    from rasterio.io import MemoryFile

    body = {"tiff": base64.b64encode(as_geotiff(chip, None)).decode()}
    answer = requests.post(f"{url}/predict", json=body, timeout=_SECONDS)
    if answer.status_code != 200:
        raise Problem(answer.status_code, str(answer.json().get("detail", answer.text[:200])))
    tiff = base64.b64decode(answer.json()["tiff"])
    with MemoryFile(tiff) as memory, memory.open(driver="GTiff") as file:
        values = file.read(1) if file.count == 1 else file.read()
        fill = 0 if file.nodata is None else file.nodata
        return GeoTensor(values, file.transform, file.crs, fill)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve a saved model until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m geostack.serve.model_server")
    parser.add_argument("model", help="file written by save_model")
    parser.add_argument("--port", type=int, default=8001)
    given = parser.parse_args(arguments)
    api = model_api(given.model)
    from litserve import LitServer

    # No page of its interface: that loads scripts from elsewhere.
    server = LitServer(api, accelerator="cpu", timeout=_SECONDS, disable_openapi_url=True)
    server.run(host="127.0.0.1", port=given.port, generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
