"""Certificates of a run: an authority made for it, and what it signs."""
import subprocess


class Authority:
    """A CA of this run and what it signs."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
                 "-subj", "/CN=play authority", "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
        self.pem = (folder / "ca.pem").read_text()

    def run(self, *args):
        r = subprocess.run(["openssl", *args], cwd=self.folder, capture_output=True, text=True, check=False)
        assert r.returncode == 0, r.stderr

    def sign(self, name, *hosts, dates=("-days", "2"), usage="serverAuth"):
        self.run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={hosts[0]}")
        (self.folder / f"{name}.ext").write_text("subjectAltName=" + ",".join(f"DNS:{h}" for h in hosts) + f"\nextendedKeyUsage={usage}\n")
        self.issue(name, name, *dates)
        return name

    def issue(self, request, name, *dates):
        self.run("x509", "-req", "-in", f"{request}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", f"{name}.pem", *dates,
                 "-extfile", f"{request}.ext")

    def sign_expired(self, name, request):
        """For the key that `request` was signed for, but its days are over."""
        try:  # OpenSSL 3.4 and later refuse an end before now from -days
            self.issue(request, name, "-not_before", "20200101000000Z", "-not_after", "20200102000000Z")
        except AssertionError:
            self.issue(request, name, "-days", "-1")
        (self.folder / f"{name}.key").write_bytes((self.folder / f"{request}.key").read_bytes())

    def chain(self, name):
        return (self.folder / f"{name}.pem").read_text() + self.pem

    def key(self, name):
        return (self.folder / f"{name}.key").read_text()

    def certificate(self, name, **more):
        """As an object of the gateway."""
        return {"kind": "certificate", "id": name, "chain": self.chain(name), "private_key": self.key(name), **more}
