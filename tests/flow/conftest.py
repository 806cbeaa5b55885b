"""Fixtures of the plays. A play asks for `gateway` (running, with mockllm behind it) or makes its own from harness.py."""
import os

import pytest

import harness


@pytest.fixture
def where(tmp_path):
    """A folder for one run; left behind by a failed play, so that its logs can be read."""
    return tmp_path


@pytest.fixture(autouse=True)
def nothing_left_running():
    harness.Process.started.clear()
    yield
    for p in reversed(harness.Process.started):
        p.finish()


@pytest.fixture
def mock(where):
    m = harness.Mock(where)
    m.start()
    yield m
    m.stop()


@pytest.fixture
def gateway(where, mock):
    g = harness.Gateway(where, mock=mock)
    g.start()
    yield g
    g.finish()


@pytest.fixture(scope="module")
def shared(tmp_path_factory, request):
    """One gateway for all plays of a file; its function `setup`, if there is one, gets it ready."""
    where = tmp_path_factory.mktemp("shared")
    m = harness.Mock(where)
    m.start()
    g = harness.Gateway(where, mock=m, options=getattr(request.module, "OPTIONS", ()))
    try:
        g.start()
        getattr(request.module, "setup", lambda _: None)(g)
        yield g
    finally:
        try:
            g.finish()
        finally:
            m.stop()


def pytest_collection_modifyitems(config, items):
    """--long plays take part only when asked for; this is a choice of scope, not a skip."""
    if os.environ.get("LLMGW_LONG") != "1":
        items[:] = [i for i in items if i.get_closest_marker("long") is None]
