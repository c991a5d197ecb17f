"""A STAC service of given items on this machine: `with StacService(items) as service`.

It answers searches by collection, box, time and cloud cover, page by page, and holds no pixels: an
item's files stay where its hrefs say.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd
from shapely.geometry import box, shape

from geocatalog.interval import as_interval

CONFORMS_TO = [
    f"https://api.stacspec.org/v1.0.0/{part}"
    for part in ("core", "item-search", "item-search#query")
]


class StacService:
    """Serves items at `url`; `searches` counts the pages that were asked for.

    Parameters
    ----------
    items
        `pystac.Item`s.
    """

    def __init__(self, items):
        self.features = [item.to_dict(include_self_link=False) for item in items]
        self.searches = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.answer(service.landing())

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.answer(service.page(asked))

            def answer(self, found):
                body = json.dumps(found).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/geo+json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def landing(self):
        """Return the service's first page, which says how to search it."""
        search = {"rel": "search", "href": f"{self.url}/search", "type": "application/geo+json"}
        links = [{"rel": rel, "href": self.url} for rel in ("self", "root")]
        links += [{**search, "method": method} for method in ("GET", "POST")]
        told = {"type": "Catalog", "id": "here", "description": "items of a lesson"}
        return {**told, "stac_version": "1.0.0", "conformsTo": CONFORMS_TO, "links": links}

    def page(self, asked):
        """Return one page of what is asked, with a link to the next."""
        self.searches += 1
        found = [feature for feature in self.features if fits(feature, asked)]
        begin, size = int(asked.get("token", 0)), int(asked.get("limit", 10))
        link = {"rel": "next", "href": f"{self.url}/search", "method": "POST"}
        following = {**link, "body": {**asked, "token": begin + size}}
        more = [following] if begin + size < len(found) else []
        features = found[begin : begin + size]
        return {"type": "FeatureCollection", "features": features, "links": more}


def fits(feature, asked):
    """Return whether an item is in the collection, box and time, and not too cloudy."""
    properties = feature["properties"]
    if asked.get("collections") and feature["collection"] not in asked["collections"]:
        return False
    if asked.get("bbox") and not shape(feature["geometry"]).intersects(box(*asked["bbox"])):
        return False
    moment = pd.Timestamp(properties["datetime"])
    if asked.get("datetime") and moment not in as_interval(asked["datetime"].replace("..", "")):
        return False
    cover = (asked.get("query") or {}).get("eo:cloud_cover", {})
    return properties.get("eo:cloud_cover", 0) <= cover.get("lte", 100)
