"""What a run starts beside its own process is nobody else's to use."""

import operator
import socket
import ssl
import sys
from contextlib import closing, suppress
from functools import partial
from http.client import HTTPConnection, HTTPException

import numpy as np
import psutil
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine
from waiting import until

from pipekit import Lambda, ProcessMap
from pipekit.schedulers import scheduling


def let_in(port):
    """Whether a port talks to somebody without a certificate, by TLS or by HTTP."""
    anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    with (
        suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        anyone.wrap_socket(plain) as secret,
    ):
        secret.sendall(b"x" * 100)
        if secret.recv(100):
            return True
    for page in ("", "status", "info", "metrics", "json/identity.json"):
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        with closing(connection), suppress(OSError, HTTPException):
            connection.request("GET", f"/{page}")
            with connection.getresponse() as answer:
                if answer.status != 404:
                    return True
    return False


def listening():
    """The ports on which this process and its children listen."""
    me = psutil.Process()
    found = []
    for process in (me, *me.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # it has ended since
            for each in process.net_connections("inet"):
                if each.status == psutil.CONN_LISTEN:
                    found.append(each.laddr.port)
    return set(found)


@pytest.mark.skipif(sys.platform == "win32", reason="takes POSIX to tell the ports of children")
def test_no_other_process_runs_a_task_on_the_workers_of_a_run():
    before = listening()
    with scheduling("dask", 2, partial(operator.add, 1)) as chosen:
        assert chosen.submit(2).result() == 3
        ports = listening() - before
        assert ports
        assert not list(filter(let_in, ports))
        assert chosen.submit(3).result() == 4
    until(lambda: listening() <= before, "nobody listens any more")


def test_rasters_that_a_job_holds_keep_their_place_in_a_process():
    tile = GeoTensor(np.ones((2, 300, 300)), Affine.scale(10, -10), "EPSG:32632", 7, {"a": 1})
    with scheduling("processes", 1, lambda name: getattr(tile, name)) as chosen:
        for name in ("transform", "crs", "fill_value_default", "attrs"):
            assert chosen.submit(name).result() == getattr(tile, name)


def test_an_operator_of_a_notebook_is_mapped_by_processes():
    threshold = 3
    assert ProcessMap(Lambda(lambda item: item > threshold), workers=1)([2, 4]) == [False, True]
