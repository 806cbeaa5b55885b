"""llmgwctl with a real gateway: each command's good and bad case, formats, contexts, transactions, edit, watch, top, completion, exit status."""
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import subprocess
import threading
import time

import pytest

from harness import SLOW, binary, until

CTL = binary("llmgwctl")


@pytest.fixture
def home(where):
    """A user's home of its own: contexts and transactions of one play are not seen by another."""
    h = where / "home"
    h.mkdir(mode=0o700)
    return h


def env_of(g, home=None, **more):
    e = {k: v for k, v in os.environ.items() if not k.startswith(("LLMGW_", "XDG_")) and k not in ("NO_COLOR", "VISUAL", "EDITOR")}
    if g:
        e.update(LLMGW_ADMIN_URL=g.admin_url, LLMGW_ADMIN_TOKEN=g.token, LLMGW_URL=g.url, LLMGW_KEY=g.key or "")
    if home:
        e["HOME"] = str(home)
    e.update({k: str(v) for k, v in more.items()})
    return e


def run(g, *args, home=None, stdin=None, env=None):
    return subprocess.run([CTL, *args], input=stdin, capture_output=True, text=True, timeout=60 * SLOW, env=env or env_of(g, home))


def good(g, *args, **kw):
    r = run(g, *args, **kw)
    assert r.returncode == 0, f"{args}: {r.returncode}\n{r.stdout}\n{r.stderr}"
    return r.stdout


def bad(g, status, *args, **kw):
    r = run(g, *args, **kw)
    assert r.returncode == status, f"{args}: {r.returncode}, not {status}\n{r.stdout}\n{r.stderr}"
    return r.stderr


def model(g, mid, **more):
    a = g.admin("PUT", f"models/{mid}", {"targets": [{"deployment": "mock-1"}], **more})
    assert a.status in (200, 201), a.text
    return a


# --- formats ---
def play_formats_of_lists(shared):
    g = shared
    for n in range(3):
        model(g, f"fmt-{n}", owned_by=f"owner-{2 - n}", labels={"round": "fmt"})
    names = good(g, "get", "models", "--filter", "labels.round=fmt", "-o", "name").split()
    assert names == ["model/fmt-0", "model/fmt-1", "model/fmt-2"]
    table = good(g, "get", "models", "--filter", "labels.round=fmt").splitlines()
    assert table[0].split()[0] == "ID" and len(table) == 4 and "UPDATED_AT" not in table[0]
    assert "UPDATED_AT" in good(g, "get", "models", "-o", "wide").splitlines()[0]
    rows = good(g, "get", "models", "--filter", "labels.round=fmt", "--field", "owned_by,targets.0.deployment", "--no-headers",
                "--sort-by", "owned_by").splitlines()
    assert [r.split() for r in rows] == [[f"owner-{n}", "mock-1"] for n in range(3)]
    rows = good(g, "get", "models", "--filter", "labels.round=fmt", "--field", "id", "--no-headers", "--sort-by", "-id").split()
    assert rows == ["fmt-2", "fmt-1", "fmt-0"]
    assert good(g, "get", "models", "--filter", "labels.round=fmt", "-o", "jsonpath={.items[?(@.owned_by==\"owner-1\")].id}") == "fmt-1\n"
    assert good(g, "get", "model", "fmt-1", "-o", "jsonpath={.targets[*].deployment}") == "mock-1\n"
    assert good(g, "get", "model", "fmt-1", "-o", "name") == "model/fmt-1\n"
    assert json.loads(good(g, "get", "model", "fmt-1", "--json"))["owned_by"] == "owner-1"


def play_wrong_formats_and_fields_are_told(shared):
    g = shared
    assert 'did you mean "yaml"?' in bad(g, 2, "get", "models", "-o", "ymal")
    assert "filter" in bad(g, 2, "get", "models", "-o", "jsonpath={.items[?(x)]}")
    assert 'did you mean "owned_by"?' in bad(g, 2, "get", "models", "--field", "ownd_by")
    assert 'did you mean "provider"?' in bad(g, 2, "get", "deployments", "--filter", "provder=mock")
    assert "field=value" in bad(g, 2, "get", "deployments", "--filter", "provider!=mock")
    assert "--limit" in bad(g, 2, "get", "models", "--limit", "many")
    assert "jq" in bad(g, 2, "get", "models", "-o", "json", "--field", "id")
    assert "--timeout" in bad(g, 2, "get", "models", "--timeout", "soon")
    assert "--server-timeout" in bad(g, 2, "get", "models", "--server-timeout", "0")
    good(g, "apply", "-f", "-", "--server-timeout", "3s", stdin="kind: org\nid: play\n")


def play_long_lists_come_whole(shared):
    """More than one page of the server; a limit takes a part."""
    g = shared
    body = [{"kind": "user", "id": f"page-{n:05}"} for n in range(2300)]
    assert g.admin("POST", "config:apply", body).status == 200
    ids = good(g, "get", "users", "-o", "name").split()
    assert sum(i.startswith("user/page-") for i in ids) == 2300 and len(ids) == len(set(ids))
    assert len(good(g, "get", "users", "--limit", "1500", "-o", "name").split()) == 1500


# --- errors ---
def play_errors_as_json(shared):
    g = shared
    e = json.loads(bad(g, 3, "get", "model", "nowhere", "-o", "json"))["error"]
    assert e["exit"] == 3 and e["status"] == 404 and e["message"] and e["hint"], e
    model(g, "gpt-near")
    e = json.loads(bad(g, 3, "get", "model", "gpt-naer", "--json"))["error"]
    assert "gpt-near" in e["hint"], e
    e = json.loads(bad(g, 2, "get", "modles", "-o", "json"))["error"]
    assert e["code"] == "usage" and "models" in e["message"]
    e = json.loads(bad(g, 5, "apply", "-f", "-", "--json", stdin="kind: model\nid: m\ntargets: [{deployment: gone}]\n"))["error"]
    assert e["faults"][0]["pointer"] and e["exit"] == 5, e
    e = json.loads(bad(g, 7, "status", "-o", "json", "--server", "http://127.0.0.1:9"))["error"]
    assert e["code"] == "unreachable" and e["hint"]


def play_exit_statuses(shared):
    g = shared
    bad(g, 2, "get")
    bad(g, 2, "get", "models", "--nonsense")
    bad(g, 3, "get", "model", "nowhere")
    bad(g, 3, "delete", "model", "nowhere", "--yes")
    bad(g, 4, "delete", "deployment", "mock-1", "--yes")  # in use
    bad(g, 5, "apply", "-f", "-", stdin="kind: model\nid: UPPER\n")
    bad(g, 6, "status", env=env_of(g, LLMGW_ADMIN_TOKEN="lgw_wrong"))
    bad(g, 7, "status", "--server", "http://127.0.0.1:9")
    assert run(g, "diff", "-f", "-", stdin="kind: org\nid: would-be-new\n").returncode == 8
    assert run(g, "diff", "-f", "-", stdin="kind: org\nid: play\n").returncode == 0


def play_unknown_field_has_its_place(shared):
    err = bad(shared, 5, "apply", "-f", "-", stdin="kind: model\nid: m1\ntargets:\n- deployment: mock-1\nhiden: true\n")
    assert "line 5, column 1" in err and 'did you mean "hidden"?' in err and "explain model" in err


def play_confirmation(shared):
    """Without a terminal a destructive act is refused; on one it asks, naming what goes, and no is no."""
    g = shared
    model(g, "doomed")
    err = bad(g, 2, "delete", "model", "doomed", stdin="")
    assert "doomed" in err and "--yes" in err
    assert on_terminal(g, ["delete", "model", "doomed"], [("[y/N]", "n\n")])[1] == 2
    assert g.admin("GET", "models/doomed").status == 200
    text, rc = on_terminal(g, ["delete", "model", "doomed"], [("[y/N]", "y\n")])
    assert rc == 0 and "Delete model doomed on http" in text
    assert g.admin("GET", "models/doomed").status == 404


def on_terminal(g, args, talk, env=None, seconds=20):
    """Runs llmgwctl on a pseudo terminal; waits for each word before it types. All that was shown, and the exit status."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(CTL, [CTL, *args], env or env_of(g, TERM="xterm"))
    shown, talk, end = b"", list(talk), time.monotonic() + seconds * SLOW
    while time.monotonic() < end:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                piece = os.read(fd, 65536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        while talk and talk[0][0].encode() in shown:
            os.write(fd, talk.pop(0)[1].encode())
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(fd)
    return shown.decode("utf-8", "replace"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def play_colours_only_on_a_terminal(shared):
    g = shared
    assert "\x1b[" not in good(g, "get", "models")
    assert "\x1b[1m" in on_terminal(g, ["get", "models"], [])[0]
    assert "\x1b[" not in on_terminal(g, ["get", "models"], [], env_of(g, TERM="xterm", NO_COLOR="1"))[0]
    assert "\x1b[" not in on_terminal(g, ["get", "models", "--color", "never"], [])[0]
    assert "\x1b[1m" in good(g, "get", "models", "--color", "always")
    assert "--color" in bad(g, 2, "get", "models", "--color", "sometimes")


def play_a_typed_secret_is_not_shown(shared):
    g = shared
    text, rc = on_terminal(g, ["credential", "set", "typed", "--provider", "mock"], [("not shown", "sk-typed-secret-1234\n")])
    assert rc == 0 and "sk-typed-secret" not in text
    assert g.admin("GET", "credentials/typed").json["last4"] == "1234"


def play_quiet(shared):
    g = shared
    model(g, "hush")
    r = run(g, "delete", "model", "hush", "--yes", "-q")
    assert (r.returncode, r.stdout, r.stderr) == (0, "", "")
    assert "nowhere" in bad(g, 3, "delete", "model", "nowhere", "--yes", "--quiet")


# --- contexts ---
def play_contexts(shared, home, where):
    g = shared
    token = where / "tok"
    token.write_text(g.token)
    token.chmod(0o600)
    plain = env_of(None, home)
    good(g, "context", "set", "here", "--server", g.admin_url, "--token-file", str(token), env=plain)
    good(g, "context", "set", "away", "--server", "http://127.0.0.1:9", "--token-env", "AWAY_TOKEN", env=plain)
    f = home / ".config/llmgw/contexts.yaml"
    assert f.stat().st_mode & 0o777 == 0o600 and g.token not in f.read_text()
    assert "mock-1" in good(g, "get", "models", env=plain)
    bad(g, 7, "get", "models", "--context", "away", env=plain)
    good(g, "context", "use", "away", env=plain)
    bad(g, 7, "get", "models", env=plain)
    assert "mock-1" in good(g, "get", "models", env={**plain, "LLMGW_CONTEXT": "here"})
    assert 'did you mean "here"?' in bad(g, 3, "get", "models", "--context", "hree", env=plain)
    good(g, "context", "set", "there", "--server", g.admin_url, "--token-env", "THERE_TOKEN", env=plain)
    bad(g, 6, "get", "models", "--context", "there", env=plain)
    good(g, "get", "models", "--context", "there", env={**plain, "THERE_TOKEN": g.token})
    assert "* " in good(g, "context", "list", env=plain)


# --- transactions ---
def play_transaction(shared, home):
    g = shared
    before = g.admin("GET", "status").json["generation"]
    good(g, "begin", home=home)
    assert "already" in bad(g, 4, "begin", home=home)
    good(g, "apply", "-f", "-", stdin="kind: team\nid: txn-t\norg: play\n", home=home)
    good(g, "apply", "-f", "-", stdin="kind: model\nid: txn-m\nteams: [txn-t]\ntargets: [{deployment: mock-1}]\n", home=home)
    state = home / ".local/state/llmgw"
    assert [p.stat().st_mode & 0o777 for p in state.glob("transaction-*.json")] == [0o600]
    assert g.admin("GET", "models/txn-m").status == 404 and g.admin("GET", "status").json["generation"] == before
    r = run(g, "diff", home=home)
    assert r.returncode == 8 and "txn-t" in r.stdout and "txn-m" in r.stdout
    assert "--yes" in bad(g, 2, "commit", home=home, stdin="")
    out = run(g, "commit", "--yes", home=home)
    assert out.returncode == 0 and "create" in out.stdout and "+ teams" in out.stderr, out
    assert g.admin("GET", "models/txn-m").status == 200
    assert g.admin("GET", "status").json["generation"] == before + 1, "all in one transaction"
    assert "no transaction" in bad(g, 3, "commit", "--yes", home=home)


def play_transaction_is_thrown_away_or_refused(shared, home):
    g = shared
    good(g, "begin", home=home)
    assert "line 3" in bad(g, 5, "apply", "-f", "-", stdin="kind: org\nid: o\nwrong: 1\n", home=home)
    err = bad(g, 5, "apply", "-f", "-", stdin="kind: credential\nid: c\nprovider: mock\nsecret: sk-in-a-file\n", home=home)
    assert "secret" in err and not any("sk-in-a-file" in p.read_text() for p in home.rglob("*") if p.is_file())
    assert "commit" in bad(g, 4, "delete", "model", "mock-1", "--yes", home=home)
    assert "is for http" in bad(g, 4, "diff", "--server", "http://127.0.0.1:9", home=home)
    good(g, "apply", "-f", "-", stdin="kind: org\nid: never\n", home=home)
    good(g, "abort", "--yes", home=home)
    assert g.admin("GET", "orgs/never").status == 404
    assert "no transaction" in bad(g, 3, "abort", home=home)


# --- reference ---
def play_explain(shared):
    g = shared
    text = good(g, "explain", "provider.connect_timeout")
    assert "100ms to 1m" in text and "5s" in text and "duration" in text and "set by" in text
    assert "Fields:" in good(g, "explain", "models") and "required" in good(g, "explain", "deployment")
    assert "1 to 1000" in good(g, "explain", "model.targets.weight")
    assert "platform-admin" in good(g, "explain", "provider.allow_private")
    assert "settings" in good(g, "explain")
    assert 'did you mean "targets"?' in bad(g, 3, "explain", "model.tragets")
    assert 'did you mean "weight"?' in bad(g, 3, "explain", "model.targets.wieght")
    assert json.loads(good(g, "explain", "model", "-o", "json"))["properties"]["targets"]


def play_man_page_is_well_formed(shared, where):
    page = where / "llmgwctl.1"
    page.write_text(good(shared, "doc", "man"))
    for words in ("context use", "EXIT STATUS", "jsonpath", "NO_COLOR"):
        assert words in page.read_text()
    if shutil.which("mandoc"):
        r = subprocess.run(["mandoc", "-T", "lint", "-W", "error", str(page)], capture_output=True, text=True)
        assert r.returncode == 0, r.stdout
    r = subprocess.run(["man", "--warnings", "-l", str(page)], capture_output=True, text=True, env={**os.environ, "MANPAGER": "cat", "MANWIDTH": "100"})
    assert r.returncode == 0 and r.stderr == "" and "llmgwctl - control of an llmgw gateway" in r.stdout, r.stderr


# --- completion ---
BASH = """
source <("$CTL" completion bash)
COMP_WORDS=("$CTL" "$@"); COMP_CWORD=$#
_llmgwctl
printf '%s\\n' "${COMPREPLY[@]}"
"""


def bash(g, *words, home=None):
    r = subprocess.run(["bash", "-c", BASH, "bash", *words], capture_output=True, text=True, env={**env_of(g, home), "CTL": CTL}, timeout=30 * SLOW)
    assert r.returncode == 0, r.stderr
    return r.stdout.split()


def play_completion_in_bash(shared, home):
    g = shared
    assert {"get", "context", "key", "top"} <= set(bash(g, ""))
    assert bash(g, "expl") == ["explain"]
    assert set(bash(g, "context", "")) == {"list", "use", "set", "delete"}
    assert set(bash(g, "get", "mod")) == {"model", "models"}
    assert "mock-1" in bash(g, "get", "models", "mo"), "ids come from the gateway"
    assert "mock-1" in bash(g, "test", "chat", "")
    assert bash(g, "explain", "model.targ") == ["model.targets"]
    assert "--dry-run" in bash(g, "apply", "--d") and "--provider" not in bash(g, "apply", "--")
    assert "yaml" in bash(g, "get", "models", "-o", "") and bash(g, "get", "models", "--output", "=", "ya") == ["yaml"]
    assert "mock" in bash(g, "model", "add", "x", "--provider", "")
    assert "owned_by" in bash(g, "get", "models", "--sort-by", "own")
    good(g, "context", "set", "one-context", "--server", "http://127.0.0.1:9", home=home)
    assert bash(g, "context", "use", "", home=home) == ["one-context"]
    begun = time.monotonic()
    silent = {**env_of(g, home), "LLMGW_ADMIN_URL": "http://127.0.0.1:9"}
    r = subprocess.run([CTL, "__complete", "get", "models", ""], capture_output=True, text=True, env=silent)
    assert r.returncode == 0 and r.stdout == "" and r.stderr == "" and time.monotonic() - begun < 5 * SLOW


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def play_completion_scripts_of_other_shells(shared, shell, where):
    """The script is printed; the shell reads it and offers what the gateway knows."""
    g = shared
    script = where / "completion"
    script.write_text(good(g, "completion", shell))
    assert "__complete" in script.read_text()
    assert shutil.which(shell), f"{shell} is needed: tools/deps.sh test installs it"
    link = where / "llmgwctl"
    link.symlink_to(CTL)
    env = {**env_of(g), "PATH": f"{where}:{os.environ['PATH']}"}
    if shell == "fish":
        r = subprocess.run(["fish", "-N", "-c", f"source {script}; complete -C 'llmgwctl get models mo'"], capture_output=True, text=True, env=env)
        assert "mock-1" in r.stdout, r.stderr
    else:
        script_of = f"compdef() {{ :; }}; _describe() {{ print -rl -- $items; }}; source {script}; words=(llmgwctl get models mo); CURRENT=4; _llmgwctl"
        r = subprocess.run(["zsh", "-fc", script_of], capture_output=True, text=True, env=env)
        assert "mock-1:" in r.stdout.splitlines(), r.stdout + r.stderr


def play_completion_of_an_unknown_shell(shared):
    assert "bash, zsh and fish" in bad(shared, 2, "completion", "tcsh")


def play_describe(shared):
    g = shared
    text = good(g, "describe", "deployment", "mock-1")
    assert "Health:" in text and "Used by:" in text and "model" in text and "Last changes:" in text
    d = json.loads(good(g, "describe", "provider", "mock", "-o", "json"))
    assert {"kind": "deployment", "id": "mock-1", "by": "provider"} in d["used_by"] and d["object"]["id"] == "mock" and d["changes"]
    assert json.loads(good(g, "describe", "model", "mock-1", "--json"))["health"][0]["deployment"] == "mock-1"
    assert 'Did you mean "mock"?' in bad(g, 3, "describe", "provider", "mokc")


# --- edit ---
def editor(where, name, *steps):
    """An editor that does one thing each time it is opened, and keeps what it was shown and how the file was protected."""
    log = where / f"{name}.seen"
    log.mkdir()
    script = where / name
    cases = "\n".join(f"{n + 1}) {s} ;;" for n, s in enumerate(steps))
    script.write_text(f"#!/bin/sh\nn=$(ls {log} | wc -l); n=$((n + 1)); cp \"$1\" {log}/$n; stat -c '%a %n' \"$1\" \"$(dirname \"$1\")\" >>{where}/{name}.modes\n"
                      f"case $n in\n{cases}\nesac\n")
    script.chmod(0o755)
    return script, log


def edit(g, home, script, *args):
    return run(g, "edit", *args, env=env_of(g, home, EDITOR=script, TMPDIR=home))


def play_edit(shared, home, where):
    g = shared
    model(g, "ed-1", owned_by="before")
    script, log = editor(where, "ed", "sed -i 's/before/after/' \"$1\"")
    r = edit(g, home, script, "model", "ed-1")
    assert r.returncode == 0 and "is changed" in r.stderr, r.stderr
    assert g.admin("GET", "models/ed-1").json["owned_by"] == "after"
    shown = (log / "1").read_text()
    assert "kind: model" in shown and "version" in shown.splitlines()[0] and "created_at" not in shown
    modes = (where / "ed.modes").read_text().split("\n")
    assert modes[0].startswith("600 ") and modes[1].startswith("700 "), modes
    assert not list(home.glob("llmgwctl-*")), "nothing is left behind"


def play_edit_that_changes_nothing(shared, home, where):
    g = shared
    version = model(g, "ed-2").json["version"]
    for name, step in (("same", "true"), ("touch", "touch \"$1\""), ("empty", ": >\"$1\"")):
        r = edit(g, home, editor(where, name, step)[0], "model", "ed-2")
        assert r.returncode == 0 and "left as it was" in r.stderr, r.stderr
    r = edit(g, home, editor(where, "broken", "exit 3")[0], "model", "ed-2")
    assert r.returncode == 1 and "editor" in r.stderr
    assert g.admin("GET", "models/ed-2").json["version"] == version
    assert not list(home.glob("llmgwctl-*"))


def play_edit_refused_opens_again_with_the_reason(shared, home, where):
    g = shared
    model(g, "ed-3")
    script, log = editor(where, "ed", "echo 'hiden: true' >>\"$1\"", "sed -i 's/^hiden/owned_by: [1]#/' \"$1\"", "sed -i 's/^owned_by.*/hidden: true/' \"$1\"")
    r = edit(g, home, script, "model", "ed-3")
    assert r.returncode == 0, r.stderr
    assert g.admin("GET", "models/ed-3").json["hidden"] is True
    second = (log / "2").read_text().splitlines()
    at = second.index("hiden: true")
    assert second[at + 1].startswith("#! ^") and 'did you mean "hidden"?' in second[at + 1], second
    third = (log / "3").read_text()
    assert "#! " in third and "owned_by" in third and "hiden: true" not in third
    # given up: the text is kept for its writer, the object is as it was
    script, log = editor(where, "giveup", "echo 'nonsense: 1' >>\"$1\"", "true")
    r = edit(g, home, script, "model", "ed-3")
    assert r.returncode == 5 and "nonsense" in r.stderr and "kept in" in r.stderr, r.stderr
    kept = list(home.glob("llmgwctl-*/*.yaml"))
    assert len(kept) == 1 and "nonsense: 1" in kept[0].read_text() and kept[0].stat().st_mode & 0o777 == 0o600


def play_edit_tells_a_race(shared, home, where):
    """Somebody changes the object while it is open in the editor: it is told, theirs is shown, and nothing is overwritten unseen."""
    g = shared
    model(g, "ed-4", owned_by="mine")
    theirs = f"{CTL} apply -f {where}/theirs.yaml >/dev/null"
    (where / "theirs.yaml").write_text("kind: model\nid: ed-4\nowned_by: theirs\ntargets: [{deployment: mock-1}]\n")
    script, log = editor(where, "ed", f"{theirs}; sed -i 's/mine/mine-too/' \"$1\"", "true")
    r = edit(g, home, script, "model", "ed-4")
    assert r.returncode == 4 and "changed meanwhile" in r.stderr, r.stderr
    assert g.admin("GET", "models/ed-4").json["owned_by"] == "theirs"
    assert "owned_by: theirs" in (log / "2").read_text() and "owned_by: mine-too" in (log / "2").read_text()
    script, log = editor(where, "ed2", f"sed -i 's/theirs/again/' {where}/theirs.yaml; {theirs}; sed -i 's/theirs/mine-too/' \"$1\"",
                         "echo 'hidden: true' >>\"$1\"")
    r = edit(g, home, script, "model", "ed-4")
    now = g.admin("GET", "models/ed-4").json
    assert r.returncode == 0 and now["owned_by"] == "mine-too" and now["hidden"] is True, "seen, then saved on purpose"


def play_edit_keeps_kind_and_id(shared, home, where):
    g = shared
    model(g, "ed-5")
    script, log = editor(where, "ed", "sed -i 's/^id: .*/id: other/' \"$1\"", "true")
    r = edit(g, home, script, "model", "ed-5")
    assert r.returncode == 5 and "stay as they are" in r.stderr
    assert g.admin("GET", "models/other").status == 404
    assert 'Did you mean "ed-5"?' in bad(g, 3, "edit", "model", "ed-55", env=env_of(g, home, EDITOR="true"))


def play_edit_in_a_transaction(shared, home, where):
    """It waits for commit, and carries the version that was read: a change in between is refused then."""
    g = shared
    model(g, "ed-6", owned_by="a")
    good(g, "begin", home=home)
    script, _ = editor(where, "ed", "sed -i 's/owned_by: a/owned_by: b/' \"$1\"")
    r = edit(g, home, script, "model", "ed-6")
    assert r.returncode == 0 and "kept for commit" in r.stderr and g.admin("GET", "models/ed-6").json["owned_by"] == "a"
    model(g, "ed-6", owned_by="c")
    err = bad(g, 4, "commit", "--yes", home=home)
    assert "version" in err and g.admin("GET", "models/ed-6").json["owned_by"] == "c"
    good(g, "abort", "--yes", home=home)


# --- watch ---
def first_words(p, words):
    """The first line on standard error, which must come soon."""
    watchdog = threading.Timer(20 * SLOW, p.kill)
    watchdog.start()
    try:
        line = p.stderr.readline()
    finally:
        watchdog.cancel()
    assert words in line, line


class Watch:
    def __init__(self, g, *args, token=None):
        env = env_of(g)
        if token:
            env["LLMGW_ADMIN_TOKEN"] = token
        self.p = subprocess.Popen([CTL, "watch", *args, "--interval", "100ms"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        first_words(self.p, "watching")

    def end(self):
        try:
            out, err = self.p.communicate(timeout=20 * SLOW)
        finally:
            self.p.kill()
        assert self.p.returncode == 0, err
        return out


def play_watch_tells_changes(shared):
    g = shared
    model(g, "w-0")
    all_of_them, one = Watch(g, "models", "-o", "json", "--count", "4"), Watch(g, "model", "w-1", "--count", "2")
    model(g, "w-1", owned_by="first")
    model(g, "w-2")
    model(g, "w-1", owned_by="second")
    assert g.admin("DELETE", "models/w-2").status == 200
    events = [json.loads(line) for line in all_of_them.end().splitlines()]
    assert [(e["act"], e["id"]) for e in events] == [("create", "w-1"), ("create", "w-2"), ("update", "w-1"), ("delete", "w-2")]
    text = one.end()
    assert "create model/w-1" in text and "update model/w-1" in text and "- owned_by: first" in text and "+ owned_by: second" in text
    assert "w-2" not in text


def play_watch_without_the_change_log(shared):
    """A viewer may not read the change log: it is told what is different."""
    g = shared
    key = json.loads(good(g, "key", "create", "watcher", "--purpose", "admin", "-o", "json"))
    assert g.admin("PUT", "role_bindings/watcher", {"key": "watcher", "role": "viewer"}).status in (200, 201)
    w = Watch(g, "models", "--count", "2", token=key["token"])
    model(g, "v-1")
    model(g, "v-2")
    text = w.end()
    assert "create model/v-1" in text and "create model/v-2" in text


def play_get_and_watch(shared):
    g = shared
    model(g, "gw-1")
    p = subprocess.Popen([CTL, "get", "model", "gw-1", "-w", "--count", "1", "--interval", "100ms"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True, env=env_of(g))
    first_words(p, "watching")
    model(g, "gw-1", hidden=True)
    out, _ = p.communicate(timeout=20 * SLOW)
    assert p.returncode == 0 and "id: gw-1" in out and "+ hidden: yes" in out
    assert "--interval" in bad(g, 2, "watch", "models", "--interval", "1ms")
    bad(g, 7, "watch", "models", "--server", "http://127.0.0.1:9")


# --- top ---
def play_top_once_shows_the_traffic_just_made(shared):
    g = shared
    model(g, "top-1")
    before = json.loads(good(g, "top", "--once", "-o", "json"))
    of = lambda s, name: next((m for m in s["models"] if m["model"] == name), {"requests": 0})  # noqa: E731
    for _ in range(7):
        assert g.chat(model="top-1").status == 200
    after = json.loads(good(g, "top", "--once", "-o", "json"))
    assert of(after, "top-1")["requests"] - of(before, "top-1")["requests"] == 7, after
    row = of(after, "top-1")
    assert 0 < row["duration_p50_s"] <= row["duration_p99_s"] < 60 and row["tokens_output"] > 0 and row["cost_usd"] > 0
    assert len(after["workers"]) == 2 and all(w["ready"] for w in after["workers"]) and after["generation"] > 0
    assert {"deployment": "mock-1", "state": "active"} in after["health"]
    screen = good(g, "top", "--once")
    line = next(s for s in screen.splitlines() if s.startswith("top-1"))
    assert line.split()[1] == str(int(row["requests"])), screen
    assert "WORKER" in screen and "DEPLOYMENT" in screen and "\x1b" not in screen


def play_top_without_a_terminal_is_a_line_an_interval(shared):
    g = shared
    out = good(g, "top", "--count", "2", "--interval", "200ms").splitlines()
    assert len(out) == 2 and all("req/s" in s and "workers 2/2" in s for s in out), out
    done = threading.Event()

    def load():
        while not done.is_set():
            g.chat()

    t = threading.Thread(target=load)
    t.start()
    try:
        until(lambda: json.loads(good(g, "top", "--count", "1", "--interval", "300ms", "-o", "json"))["requests"] > 0, 20)
    finally:
        done.set()
        t.join()
    assert "--interval" in bad(g, 2, "top", "--interval", "0")
    assert "--sort-by" in bad(g, 2, "top", "--sort-by", "mood")
    bad(g, 7, "top", "--once", "--server", "http://127.0.0.1:9")


def play_top_on_a_terminal(shared):
    """Takes the screen, obeys its keys, and gives the terminal back as it was."""
    g = shared
    text, rc = on_terminal(g, ["top", "--interval", "200ms"], [("order: rate", "s"), ("order: p99", "p"), ("PAUSED", "p"), ("p pause", "q")])
    assert rc == 0 and "\x1b[?1049h" in text and text.rstrip().endswith("\x1b[?1049l") and "MODEL" in text


# --- doctor, audit, model alias ---
def findings(g, *more, status):
    r = run(g, "doctor", "-o", "json", "--data-dir", str(g.data), *more)
    assert r.returncode == status, r.stdout + r.stderr
    return json.loads(r.stdout)


def play_doctor_finds_what_is_planted(shared):
    """All private files are good; one that others can read is bad, named, with its remedy, and gives exit status 1."""
    g = shared
    before = findings(g, status=0)
    checks = {f["check"]: f for f in before["findings"]}
    for name in ("gateway", "processes", "sandbox", "versions", "database", "records", "deployments", "data folder", "admin token", "segments",
                 "root key", "disk", "open files", "locked memory", "seccomp", "landlock", "clock", "shared memory", "somaxconn"):
        assert name in checks, (name, sorted(checks))
    assert before["bad"] == 0 and checks["root key"]["level"] == "ok" and str(g.root_key) in checks["root key"]["found"]
    for planted, check in ((g.root_key, "root key"), (g.data / "admin.token", "admin token")):
        was = planted.stat().st_mode & 0o7777
        planted.chmod(0o644)
        try:
            bad_ones = [f for f in findings(g, status=1)["findings"] if f["level"] == "bad"]
        finally:
            planted.chmod(was)
        assert [f["check"] for f in bad_ones] == [check] and f"chmod go-rwx {planted}" in bad_ones[0]["remedy"], bad_ones
    text = good(g, "doctor", "--data-dir", str(g.data))
    assert "0 bad" in text and "\x1b" not in text


def play_doctor_without_a_gateway(shared, where):
    g = shared
    r = run(g, "doctor", "--server", "http://127.0.0.1:9", "--data-dir", str(where / "nothing"))
    assert r.returncode == 1 and "does not answer" in r.stdout and "-> start it" in r.stdout and "is not there" in r.stdout
    r = run(None, "doctor", "--data-dir", str(where), env={**env_of(g), "LLMGW_ADMIN_TOKEN": "lgw_wrong"})
    assert r.returncode == 1 and "is not accepted" in r.stdout


def play_audit_show_and_export(shared, where):
    g = shared
    model(g, "audited", hidden=True)
    rows = until(lambda: [x for x in json.loads(good(g, "audit", "show", "--filter", "object=audited", "-o", "json"))["items"]], 10)
    assert rows[0]["kind"] == "model" and rows[0]["act"] == "create" and rows[0]["actor"]
    assert "audited" in good(g, "audit", "show", "--limit", "5") and len(good(g, "audit", "show", "--limit", "3", "--no-headers").splitlines()) == 3
    assert "--limit" in bad(g, 2, "audit", "show", "--limit", "0")
    out = where / "evidence"
    good(g, "audit", "export", "--dir", str(out), "--data-dir", str(g.data))
    names = sorted(p.name for p in out.iterdir())
    assert "public-key" in names and len(names) > 1 and all(n == "public-key" or n.startswith("seg-admin-") for n in names), names
    key = (out / "public-key").read_text()
    verdict = json.loads(good(None, "audit", "verify", "--dir", str(out), "--public-key", key, env=env_of(None)))
    assert verdict["faults"] == 0 and verdict["records"] > 0 and verdict["signatures"] == "checked"
    seg = next(p for p in out.iterdir() if p.name.startswith("seg-"))
    b = bytearray(seg.read_bytes())
    b[len(b) // 2] ^= 1
    seg.write_bytes(b)
    bad(None, 1, "audit", "verify", "--dir", str(out), "--public-key", key, env=env_of(None))
    assert "--dir" in bad(g, 2, "audit", "export")


def play_model_alias(shared):
    g = shared
    good(g, "model", "alias", "fast", "mock-1")
    assert g.chat(model="fast").status == 200
    assert 'Did you mean "mock-1"?' in bad(g, 3, "model", "alias", "fast", "mock-l")
    assert good(g, "get", "model", "fast", "-o", "jsonpath={.alias_of}") == "mock-1\n"


def play_keyring_and_others_say_what_they_know(shared):
    """Commands that had no play of their own."""
    g = shared
    assert json.loads(good(g, "keyring", "status", "-o", "json"))["deks"]
    assert "SLOT" in good(g, "workers") and "confd" in good(g, "status")
    assert good(g, "generations", "list", "--limit", "3", "--no-headers").count("\n") == 3
    assert "generation" in good(g, "version") or "llmgwctl" in good(g, "version")
    assert json.loads(good(g, "validate", "-f", "-", "--json", stdin="kind: org\nid: fine\n"))["valid"] is True
    bad(g, 5, "validate", "-f", "-", stdin="kind: org\nid: NOT FINE\n")
    assert "kind: model" in good(g, "export", "--kinds", "model")
    assert "--yes" in bad(g, 2, "generations", "rollback", "1", stdin="")
    assert "not a generation" in bad(g, 2, "generations", "rollback", "yesterday", "--yes")
    now = str(g.admin("GET", "status").json["generation"])
    good(g, "generations", "rollback", now, "--dry-run")
    good(g, "crashes")
    assert "--from" in bad(g, 2, "generations", "diff")
    good(g, "test", "deployment", "mock-1")
    assert good(g, "test", "chat", "mock-1").strip()
    bad(g, 3, "test", "chat", "no-such-model")
    assert "command line is visible" in bad(g, 2, "test", "chat", "mock-1", "--key", "lgw_inline")
    good(g, "key", "create", "short-lived", "--expires", "1d")
    assert "short-lived" in good(g, "key", "list")
    assert "--yes" in bad(g, 2, "key", "revoke", "short-lived", stdin="")
    good(g, "key", "revoke", "short-lived", "--yes")
    assert g.admin("GET", "keys/short-lived").json["disabled"] is True
    assert "span like 30d" in bad(g, 2, "key", "create", "--expires", "soon")
    assert "--provider" in bad(g, 2, "model", "add", "x")
    assert "FROM_NOWHERE" in bad(g, 2, "credential", "set", "c9", "--provider", "mock", "--from-env", "FROM_NOWHERE")


def play_help_is_there_for_every_command(shared):
    listed = [s.strip().split("  ")[0] for s in good(shared, "help").split("Commands:")[1].split("`llmgwctl help")[0].splitlines() if s.strip()]
    assert len(listed) > 40
    for line in listed:
        words = [w for w in line.split() if w[0] not in "<["]
        text = good(shared, "help", *words)
        assert text.index("Examples:") < text.index("Usage:"), line
    assert 'did you mean "explain"?' in bad(shared, 2, "explian")
    assert "key can: create" in bad(shared, 2, "key", "qqqqqqqqqqqqqqqqqqqqqqqq")
