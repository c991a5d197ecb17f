"""A model behind HTTP: `python model_server.py MODEL.pkl --port 8001`.

The file holds a pickled pair: an operator, and the names of the bands that it takes. A pickle runs
code when it is opened: serve only files that you wrote yourself.
"""

import argparse
import base64
import binascii
import pickle
from contextlib import contextmanager
from pathlib import Path

from fastapi import HTTPException
from litserve import LitAPI, LitServer

from geostack.serve import Limits
from geostack.serve.pixels import as_geotiff, read_upload
from geostack.serve.problem import Problem, problem_of


class ModelAPI(LitAPI):
    """Decode a GeoTIFF, run the operator, encode its result: `{"tiff": BASE64}` both ways."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def setup(self, device):
        self.operator, self.bands = pickle.loads(Path(self.path).read_bytes())

    def decode_request(self, request, **_):
        with refusals():
            if not isinstance(request, dict) or not isinstance(request.get("tiff"), str):
                raise Problem(422, 'the body must be {"tiff": BASE64}')
            try:
                body = base64.b64decode(request["tiff"], validate=True)
            except binascii.Error:
                raise Problem(422, "tiff is no base64") from None
            return read_upload(body, self.bands, Limits())

    def predict(self, chip, **_):
        with refusals():
            return self.operator(chip)

    def encode_response(self, output, **_):
        with refusals():
            return {"tiff": base64.b64encode(as_geotiff(output, None)).decode()}


@contextmanager
def refusals():
    """Turn errors into answers that LitServe knows: a status and a reason, no path of the server."""
    try:
        yield
    except Exception as error:
        told = problem_of(error)
        retry = None if told.retry_after is None else {"Retry-After": str(told.retry_after)}
        raise HTTPException(told.status, told.detail, retry) from None


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--port", type=int, default=8001)
    given = parser.parse_args()
    # No page of its interface: that loads scripts from elsewhere.
    server = LitServer(ModelAPI(given.model), accelerator="cpu", disable_openapi_url=True)
    server.run(host="127.0.0.1", port=given.port, generate_client_file=False, log_level="warning")
