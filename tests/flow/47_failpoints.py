"""confd dies by kill -9 at named places (confd/failpoint.h): what was not committed is absent, what was committed is published by the next confd to
every worker, a rotation goes on where it stood, and requests notice nothing. The program is tests/plant/llmgw_failpoints, built here."""
import subprocess

import pytest

import harness
from client import Load
from harness import BUILD, Gateway, until


@pytest.fixture(scope="module", autouse=True)
def program():
    subprocess.run(["ninja", "-C", str(BUILD), "tests/plant/llmgw_failpoints"], check=True, capture_output=True)


@pytest.fixture
def g(where, mock):
    class Failing(Gateway):
        program = "llmgw_failpoints"

    g = Failing(where, mock=mock)
    g.start()
    yield g
    g.finish()


def arm(g, point):
    """The next confd that comes by that place dies there."""
    g.first_confd = g.pid_of("confd")
    (g.data / f"failpoint.{point}").touch()


def died_and_came_back(g, point):
    until(lambda: not (g.data / f"failpoint.{point}").exists(), 30, f"confd to die at {point}")
    until(lambda: g.all_up() and g.pid_of("confd") != g.first_confd, 30, "another confd")


def write(g, name):
    """A change whose answer may be lost with confd. True: the store says that it is there."""
    return g.admin("PUT", f"models/{name}", {"targets": [{"deployment": "mock-1"}]}).status


def model_there(g, name):
    return until(lambda: g.admin("GET", f"models/{name}").status in (200, 404) and g.admin("GET", f"models/{name}"), 20).status == 200


def served_by_all(g, name, status=200):
    """Forty fresh connections meet every worker."""
    until(lambda: all(g.chat(model=name).status == status for _ in range(40)), 20, f"{name}: {status} everywhere")


def play_before_the_commit(g):
    arm(g, "before-commit")
    status = write(g, "torn")
    died_and_came_back(g, "before-commit")
    assert status >= 500, status
    assert not model_there(g, "torn")
    served_by_all(g, "torn", 404)
    assert write(g, "torn") in (200, 201), "and it can be made again"
    served_by_all(g, "torn")


@pytest.mark.parametrize("point", ["after-commit", "mid-build", "after-first-send"])
def play_committed_is_published_by_the_next(g, point):
    with Load(g, clients=2) as load:
        load.wait_for(10)
        arm(g, point)
        write(g, "kept")
        died_and_came_back(g, point)
        assert model_there(g, "kept")
        served_by_all(g, "kept")
        load.wait_for(10)
    assert not load.failures, load.failures[:3]
    generations = {w["generation"] for w in g.admin("GET", "workers").json["items"]}
    assert len(generations) == 1, generations
    g.ctl("audit", "verify", "--data-dir", str(g.data))


def play_rotation_of_the_data_key_goes_on(g):
    keys = [{"kind": "credential", "id": f"many-{n}", "provider": "mock", "secret": f"sk-many-{n:04}-0123456789"} for n in range(600)]
    assert g.admin("POST", "config:apply", keys).status in (200, 202)
    old = {d["id"] for d in g.admin("GET", "keyring").json["deks"]}
    arm(g, "mid-rotation")
    g.admin("POST", "keyring:rotate-dek")
    died_and_came_back(g, "mid-rotation")
    until(lambda: not old & {d["id"] for d in g.admin("GET", "keyring").json["deks"]}, 60, "the old data key to go")
    assert g.chat().status == 200
    a = g.admin("POST", "credentials/many-599:rotate", {"mode": "now", "secret": "sk-after-the-rotation-01"})
    assert a.status in (200, 202), a.text


def play_growth_of_the_store(g):
    arm(g, "set-mapsize")
    blob = {f"label-{i}": "x" * 200 for i in range(8)}
    done = []
    for n in range(40):
        objects = [{"kind": "user", "id": f"u-{n}-{i}", "org": "play", "labels": blob} for i in range(100)]
        if g.admin("POST", "config:apply", objects).status in (200, 202):
            done.append(n)
        if not (g.data / "failpoint.set-mapsize").exists():
            break
    died_and_came_back(g, "set-mapsize")
    for n in done:
        assert g.admin("GET", f"users/u-{n}-99").status == 200, "an acknowledged change is there"
    assert g.admin("POST", "config:apply", [{"kind": "user", "id": "u-last", "org": "play", "labels": blob}]).status in (200, 202)
    assert g.chat().status == 200


def play_corrupted_image_is_never_served(g):
    """What a worker is sent is not what confd built: nobody serves it, nobody dies, the old configuration serves on until it is published anew."""
    before = {w["pid"] for w in g.admin("GET", "workers").json["items"]}
    with Load(g, clients=2) as load:
        load.wait_for(10)
        (g.data / "failpoint.corrupt-image").touch()
        assert write(g, "poisoned") not in (200, 201), "nobody may be told that it is served"
        assert not (g.data / "failpoint.corrupt-image").exists()
        assert all(g.chat(model="poisoned").status == 404 for _ in range(40))
        load.wait_for(20)
        a = g.admin("PUT", "models/healthy", {"targets": [{"deployment": "mock-1"}]})
        assert a.status == 409 and "republish" in a.text, "further changes wait for the operator, who is told what to do"
        assert g.admin("POST", "config:republish").status in (200, 202)
        until(lambda: write(g, "healthy") in (200, 201), 20, "the next configuration to be served")
        served_by_all(g, "healthy")
        served_by_all(g, "poisoned")  # it was never the change that was bad
    assert not load.failures, load.failures[:3]
    assert {w["pid"] for w in g.admin("GET", "workers").json["items"]} == before, "nobody died"


def play_the_product_has_no_such_places(gateway):
    (gateway.data / "failpoint.before-commit").touch()
    pid = gateway.pid_of("confd")
    assert gateway.admin("PUT", "models/plain", {"targets": [{"deployment": "mock-1"}]}).status == 201
    assert gateway.pid_of("confd") == pid and harness.alive(pid)
    assert (gateway.data / "failpoint.before-commit").exists()
