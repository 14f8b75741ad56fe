"""A certificate authority of one's own and a server's certificate by it, made by openssl."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """`authority`: the authority's PEM file, which a client has to know."""

    authority: Path
    server: ssl.SSLContext


def own_authority(directory: Path) -> Certificates:
    """Make both in `directory`; the server's is for localhost and 127.0.0.1."""
    directory.mkdir(parents=True, exist_ok=True)
    new = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    subprocess.run(
        f"{new} -x509 -keyout ca.key -out ca.pem -days 2 -subj '/CN=An authority of our own'"
        " -addext keyUsage=critical,keyCertSign"
        f" && {new} -keyout server.key -out server.csr -subj /CN=localhost"
        " && echo subjectAltName=DNS:localhost,IP:127.0.0.1 > names"
        " && openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial"
        " -out server.pem -days 2 -extfile names",
        shell=True,
        check=True,
        cwd=directory,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem", directory / "server.key")
    return Certificates(directory / "ca.pem", context)
