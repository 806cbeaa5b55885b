"""/openapi.json against the admin API that serves it: whatever is asked as it says, the answer has a status that it names, and none is a 500."""
import re
import subprocess

import pytest

from harness import ROOT, SLOW

TOOL = ROOT / "tests" / ".venv-api" / "bin" / "schemathesis"
# Those that stand for the others: every kind has the same five. What ends processes or changes keys is left out.
PATHS = r"logs$|logs:export|usage|config:(apply|diff|validate|export)|generations|models|/keys|deployments|whoami|status|index$"


@pytest.mark.skipif(not TOOL.is_file(), reason="no schemathesis: tools/test_clients.sh makes tests/.venv-api")
def play_documented_statuses_only(gateway, tmp_path):
    g = gateway
    a = g.admin("PATCH", "settings/default", {"admin_rate": 100000, "admin_failures": 100000})
    assert a.status == 200, a.text
    r = subprocess.run([TOOL, "run", g.admin_url + "/openapi.json", "-H", f"Authorization: Bearer {g.token}", "--phases", "fuzzing", "--max-examples", "5",
                        "--seed", "7", "--no-shrink", "--checks", "not_a_server_error,status_code_conformance", "--include-path-regex", PATHS,
                        "--request-timeout", "20", "--no-color"], capture_output=True, text=True, timeout=60 * SLOW,
                       cwd=tmp_path, check=False)
    assert r.returncode == 0, r.stdout[-6000:]
    tested = re.search(r"Tested: (\d+)", r.stdout)
    assert tested and int(tested[1]) >= 30, r.stdout[-3000:]
