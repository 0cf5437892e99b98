"""A root, and certificates that lead to it, made by openssl(1) for one test."""

import ssl
import subprocess

from processes import PATIENCE_S

NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"]


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True,
                   timeout=PATIENCE_S, check=True)


class Root:
    """Its own certificate is at `file`."""

    def __init__(self, folder, name="root"):
        self.folder, self.name = folder, name
        self.file, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        openssl("req", "-x509", *NEW_KEY, "-subj", f"/CN={name}", "-days", 2,
                "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                "-keyout", self.key, "-out", self.file)

    def context(self):
        """A client's, as strict as Python's own are from 3.13 on."""
        context = ssl.create_default_context(cafile=self.file)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    def issue(self, name, alt_name=None):
        """(certificate, key): files of a certificate of `name`, good for `alt_name` too."""
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        more = ["-addext", f"subjectAltName={alt_name}"] if alt_name else []
        openssl("req", "-x509", *NEW_KEY, "-subj", f"/CN={name}", "-days", 2,
                "-CA", self.file, "-CAkey", self.key,
                "-addext", "basicConstraints=critical,CA:FALSE", *more,
                "-keyout", key, "-out", cert)
        return cert, key
