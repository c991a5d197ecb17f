"""The live archive: the Planetary Computer's STAC service and its signed files.

`GEOSTACK_STAC_URL` names another STAC service; `PC_SDK_SAS_URL` is the signer's own variable for
the token endpoint.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from geocatalog.read.service import WHOLE, asking, json_of, patient_io, service_item
from geocatalog.read.signers import add_signer
from geostack.errors import SourceUnavailableError
from geostack.items import acquired, cloud_cover
from geostack.request import BBox, Request, format_interval, halves, nearest_first, parse_date_range
from geostack.sources.source import Source, fits
from geostack.web import PROBE_SECONDS, answered, check_answer, probe
from pipekit.retry import GaveUpError, RetryPolicy, retry, within
from pipekit.tokens import guard_logs, redact, without_tokens

if TYPE_CHECKING:
    from pystac import Item
    from pystac_client import Client

logger = logging.getLogger(__name__)

STAC_URL = "https://planetarycomputer.microsoft.com/api/stac/v1"
PAGE_SIZE = 100
BLOB_DOMAIN = ".blob.core.windows.net"
"""Whose files need a token."""
CLOUDY = ("sentinel-2-l2a", "landsat-c2-l2")
"""Collections that record cloud cover, so that the service can give the clearest first."""

LEAST_LEFT = 60
"""Seconds that a token must still be valid to be used again."""

_SIGNING = threading.Lock()


def stac_url() -> str:
    """Return the STAC service's address: `GEOSTACK_STAC_URL`, else the Planetary Computer's.

    Returns
    -------
    Without a slash at its end.

    Examples
    --------
    >>> stac_url().startswith("http")
    True
    """
    return (os.environ.get("GEOSTACK_STAC_URL") or STAC_URL).rstrip("/")


class PlanetaryComputerSource(Source):
    """Scenes from the Planetary Computer, searched by pystac-client, signed when they are read.

    Parameters
    ----------
    url
        Another STAC API that speaks the same dialect.
    policy
        How often and how long to try; by default `pipekit.retry.DEFAULT`.

    Examples
    --------
    >>> PlanetaryComputerSource("http://localhost:1").url
    'http://localhost:1'
    """

    name = "planetary-computer"

    def __init__(self, url: str | None = None, policy: RetryPolicy | None = None) -> None:
        self.url = (url or stac_url()).rstrip("/")
        self.policy = policy
        self._client: Client | None = None
        guard_logs()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_client": None}

    def find(self, asked: Request, limit: int | None = None) -> list[Item]:
        """Return items with unsigned hrefs, paging until `limit` or the end.

        Every filter is checked again here: a service may ignore one that it doesn't know.

        Parameters
        ----------
        asked
            The question, already checked.
        limit
            At least so many of the clearest, where there are as many; None for all.

        Returns
        -------
        In no promised order.

        Raises
        ------
        SourceUnavailableError
            When the service does not answer, or its pages repeat.
        """
        if asked.item is not None:
            named = {"collections": [asked.collection], "ids": [asked.item], "limit": 2}
            return self._pages(named, asked, limit)
        parts = [list(part) for part in halves(asked.bbox)]
        query: dict[str, Any] = {}
        if asked.tile is not None:
            query["s2:mgrs_tile"] = {"eq": asked.tile}
        if asked.max_cloud_cover is not None:
            query["eo:cloud_cover"] = {"lte": asked.max_cloud_cover}
        parameters: dict[str, Any] = {
            "collections": [asked.collection],
            "datetime": format_interval(asked.interval),
            "query": query or None,
            "limit": min(limit or PAGE_SIZE, PAGE_SIZE),
        }
        if asked.collection in CLOUDY or asked.max_cloud_cover is not None:
            parameters["sortby"] = [{"field": "properties.eo:cloud_cover", "direction": "asc"}]
        # Services read west > east in several ways, each half in one way only.
        found = [self._pages({**parameters, "bbox": part}, asked, limit) for part in parts]
        return list({item.id: item for items in found for item in items}.values())

    def covers(self, collection: str, bbox: BBox, date_range: str, tile: str | None = None) -> bool:
        """Return whether the service answers within 3 s; what it holds only a search tells.

        Parameters are those of `Source.search`.

        Returns
        -------
        Whether it answers.
        """
        return self.reachable()

    def reachable(self) -> bool:
        """Return whether the service answers within 3 s; it is asked once a minute at most.

        Returns
        -------
        Whether it answers.
        """
        return self._probe() is None

    def dates_near(
        self, collection: str, bbox: BBox, date_range: str, tile: str | None = None
    ) -> list[datetime]:
        """Return when there are scenes within a year of `date_range`, the nearest first.

        Parameters are those of `Source.search`.

        Returns
        -------
        Times in UTC, each once.
        """
        start, end = parse_date_range(date_range)
        wider = (start and start - timedelta(days=366), end and end + timedelta(days=366))
        found = self.search(collection, bbox, format_interval(wider), tile=tile, limit=500)
        return nearest_first((acquired(item.properties) for item in found), date_range)

    def knows(self, href: str) -> bool:
        """Return whether a file lies in Azure Blob Storage, where the archive keeps its files.

        Parameters
        ----------
        href
            A path or URL.

        Returns
        -------
        Whether `sign` adds a token to it.

        Examples
        --------
        >>> source = PlanetaryComputerSource()
        >>> source.knows("https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/B04.tif")
        True
        """
        return href.startswith("http") and urlparse(href).netloc.endswith(BLOB_DOMAIN)

    def sign(self, href: str, *, renew: bool = False) -> str:
        """Return `href` with a token that is valid for another minute at least.

        Parameters
        ----------
        href
            An address; one that isn't in Azure Blob Storage is returned as it is.
        renew
            Ask for a new token even if the old one looks valid (after an answer 403).

        Returns
        -------
        The signed address, which must not be printed or stored.

        Raises
        ------
        SourceUnavailableError
            When the token endpoint does not answer.
        """
        if not self.knows(href):
            return href
        from planetary_computer import sas
        from planetary_computer.settings import Settings

        place, settings = without_tokens(href), Settings.get()
        url = urlparse(place)
        of = f"{url.netloc.split('.')[0]}/{url.path.lstrip('/').split('/')[0]}"
        endpoint = f"{settings.sas_url}/{of}"
        with _SIGNING:  # one request for a token, however many bands are read at the same time
            token = None if renew else sas.TOKEN_CACHE.get(endpoint)
            if token is None or token.ttl() < LEAST_LEFT:
                ask = partial(_token, endpoint, settings.subscription_key)
                try:
                    token = retry(partial(within, WHOLE, ask), self.policy)
                except (GaveUpError, _NoTokenError) as error:
                    where = redact(str(settings.sas_url))
                    raise SourceUnavailableError(
                        f"no token for {of} from {where}: {error}"
                    ) from None
                sas.TOKEN_CACHE[endpoint] = token
        return f"{place}{'&' if '?' in place else '?'}{token.token}"

    def describe(self) -> str:
        """Return one line: the service and whether it can be reached.

        Returns
        -------
        Text without a line break.
        """
        answer = self._probe()
        state = f"unreachable ({answer})" if answer else "reachable"
        return f"{redact(self.url)}: {state}"

    def why_not(self, request: Request | None = None) -> str:
        """Return why the service was passed over.

        Parameters
        ----------
        request
            The question, which does not matter.

        Returns
        -------
        Half a sentence.
        """
        return f"{redact(self.url)} {self._probe() or 'answers'}"

    def fix(self, request: Request | None = None) -> str:
        """Return the command that tells whether the network is at fault.

        Parameters
        ----------
        request
            The question, which does not matter.

        Returns
        -------
        Half a sentence with a line for the shell.
        """
        return f"connect to the network (curl -sI {redact(self.url)} shows when it answers)"

    def client(self) -> Client:
        """Return the pystac client, opened on first use.

        Returns
        -------
        Its items are not signed.
        """
        if self._client is None:
            self._client = self._open()
        return self._client

    def _open(self, modifier: Any = None) -> Client:
        from pystac_client import Client

        io = patient_io(self.policy, WHOLE)
        return self._ask(lambda: Client.open(self.url, modifier=modifier, stac_io=io))

    def _pages(self, parameters: dict[str, Any], asked: Request, limit: int | None) -> list[Item]:
        found: dict[str, Item] = {}
        seen: set[str] = set()

        until = time.monotonic() + MOST_SECONDS

        def collect() -> None:
            for page in self.client().search(**parameters).pages_as_dicts():
                features = page.get("features", [])
                ids = {feature["id"] for feature in features}
                if features and ids <= seen:
                    raise SourceUnavailableError(
                        f"{redact(self.url)} gave the same page of results twice after {len(seen)} "
                        "items, so the rest can't be listed; try again, or ask for a shorter date "
                        "range"
                    )
                seen.update(ids)
                if len(seen) > MOST_ITEMS or time.monotonic() > until:
                    raise SourceUnavailableError(
                        f"{redact(self.url)} listed {len(seen)} items and has more, so the search "
                        "was broken off; ask for a shorter date range, a smaller box or a tile"
                    )
                for feature in features:
                    feature.setdefault("collection", asked.collection)
                    if fits(feature, asked):
                        found[feature["id"]] = service_item(feature, self.url)
                # Only a service that sorts may be stopped: else the clearest may come last.
                covers = [cloud_cover(item.properties) or 0.0 for item in found.values()]
                in_order = "sortby" not in parameters or covers == sorted(covers)
                enough = limit is not None and len(found) >= limit and in_order
                # A service that does not know `ids` would go through all that it has.
                if enough or asked.item is not None:
                    return

        self._ask(collect)
        return list(found.values())

    def _ask(self, question: Any) -> Any:
        way_out = f"; fix: {self.fix()}, or set GEOSTACK_SOURCE=archive or simulated"
        return asking(self.url, question, SourceUnavailableError, way_out)

    def _probe(self) -> str | None:
        return _probed(self.url, int(time.monotonic() // 60))


@lru_cache(maxsize=16)
def _probed(url: str, minute: int) -> str | None:
    """Return what is wrong with a service, asked once in each minute."""
    return probe(url, PROBE_SECONDS)


MOST_ITEMS = 100_000
"""Items that one search lists: a service that never ends would fill the memory."""

MOST_SECONDS = 900.0
"""How long one search may take, however many pages it has and however slowly they come."""


class _NoTokenError(Exception):
    """The token endpoint refused for good."""


def _token(endpoint: str, key: str | None) -> Any:
    """Return a new token; the signer's own client waits for ever where nothing comes."""
    from planetary_computer import sas

    headers = {"Ocp-Apim-Subscription-Key": key} if key else {}
    # A redirect may lead to another host, which the key is not meant for.
    with answered(endpoint, headers=headers, allow_redirects=not key, stream=True) as response:
        check_answer(response, _NoTokenError(f"HTTP {response.status_code}"))
        try:
            return sas.SASToken(**json_of(response))
        except (TypeError, ValueError):  # pydantic's ValidationError, requests' JSONDecodeError
            raise _NoTokenError("an answer that is no token") from None


def mpc_catalog() -> Client:
    """Return a signed `pystac_client.Client` of the Planetary Computer.

    Its items' hrefs carry tokens: open them, but don't print or store them.

    Returns
    -------
    A client for searches of one's own.

    Raises
    ------
    SourceUnavailableError
        When the service does not answer.
    """
    from planetary_computer import sign_inplace

    def sign(found: Any) -> None:
        within(10 * WHOLE, lambda: sign_inplace(found))

    return PlanetaryComputerSource()._open(sign)


add_signer(PlanetaryComputerSource())  # here at once; other processes find it declared
