"""The way to a host: through which proxy, and by whose certificates, as the environment says.

    route = route_to("https://node.example")
    session = route.session()

HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY as curl reads them, in either case; a proxy is never
asked for this machine itself. REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE and SSL_CERT_DIR, the
first that is set, for every host. A variable that cannot be used is named, without its value: a
proxy's holds a password.
"""

import ipaddress
import os
import ssl
from dataclasses import dataclass, field
from gettext import gettext as _
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import requests
from requests.utils import should_bypass_proxies

from node_client.errors import InvalidData

CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXIES = {
    "http": ("http_proxy", "all_proxy"),
    "https": ("https_proxy", "all_proxy"),
    "wss": ("wss_proxy", "https_proxy", "all_proxy"),
}


@dataclass(frozen=True, slots=True)
class Route:
    """`proxy`: its URL, with its password. `variable` names it. `certificates`: file or directory."""

    scheme: str
    proxy: str | None = field(default=None, repr=False)
    variable: str = ""
    certificates: str | None = None

    def session(self) -> requests.Session:
        """Return a session that goes this way, and reads nothing else from the environment."""
        session = requests.Session()
        session.trust_env = False
        if self.proxy is not None:
            session.proxies = {self.scheme: self.proxy}
        if self.certificates is not None:
            session.verify = self.certificates
        return session

    def tls(self, usual: str | None = None) -> ssl.SSLContext | None:
        """Return what checks the host's certificate; None where the scheme has none.

        `usual`: the certificates where the environment names none; else the system's.
        """
        if self.scheme not in ("https", "wss"):
            return None
        return _context_of(self.certificates or usual)


def route_to(url: str) -> Route:
    """Return the way to a URL of http, https, ws or wss. Raises InvalidData for a bad variable."""
    parts = urlsplit(url)
    certificates = _certificates() if parts.scheme in ("https", "wss") else None
    variable, proxy = _proxy_for(parts.scheme)
    if proxy and not is_loopback(parts.hostname or "") and not should_bypass_proxies(url, None):
        return Route(parts.scheme, _checked(variable, proxy), variable, certificates)
    return Route(parts.scheme, certificates=certificates)


def is_loopback(host: str) -> bool:
    """Return whether a name or address is meant for this machine, judged by its name alone."""
    return host.endswith(".localhost") or is_this_machine(host)


def is_this_machine(host: str) -> bool:
    """Whether it is so by address: other names may lead anywhere, "x.localhost" among them."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _proxy_for(scheme: str) -> tuple[str, str]:
    for name in _PROXIES.get(scheme, ()):
        variable = name if name in os.environ else name.upper()
        if value := os.environ.get(variable, "").strip():
            return variable, value
    return "", ""


def _checked(variable: str, proxy: str) -> str:
    """Return the proxy's URL, if it is one of HTTP."""
    url = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(url)
        fine = bool(parts.hostname) and parts.port != 0
    except ValueError:
        _refuse(variable)
    if parts.scheme.startswith("socks"):
        raise InvalidData(
            _("{variable} names a SOCKS proxy, and only HTTP proxies can be used").format(
                variable=variable
            ),
            advice=_(
                "Unset {variable} for this program, name an HTTP proxy in it, or leave the host out:"
                " NO_PROXY=HOST."
            ).format(variable=variable),
        )
    if not fine or parts.scheme not in ("http", "https") or not url.isprintable() or " " in url:
        _refuse(variable)
    return url


def _refuse(variable: str) -> NoReturn:
    raise InvalidData(
        _("{variable} is not the URL of a proxy").format(variable=variable),
        advice=_("Write it as http://HOST:PORT, unset it, or leave the host out: NO_PROXY=HOST."),
    ) from None


def _certificates() -> str | None:
    variable = next((name for name in CERTIFICATES if os.environ.get(name)), None)
    if variable is None:
        return None
    path = os.path.expanduser(os.environ[variable])  # noqa: PTH111 - pathlib raises without a home
    try:
        _context_of(path)
    except OSError as error:  # ssl.SSLError is one
        reason = _("it holds no certificates")
        if not isinstance(error, ssl.SSLError) and error.strerror:
            reason = error.strerror
        raise InvalidData(
            _("the certificates that {variable} names ({path}) cannot be used: {reason}").format(
                variable=variable, path=path, reason=reason
            ),
            advice=_("Name a PEM file of the certificate authorities to trust, or unset it."),
        ) from None
    return path


def _context_of(certificates: str | None) -> ssl.SSLContext:
    if certificates is None:
        return ssl.create_default_context()
    if Path(certificates).is_dir():
        return ssl.create_default_context(capath=certificates)
    return ssl.create_default_context(cafile=certificates)
