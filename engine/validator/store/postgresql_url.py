"""The URL of --store: whether it may be used, and what else a connection is made with."""

import os
from gettext import gettext as _
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from engine.runtime.errors import BadInput
from node_client.secret import Secret

_CONNECT = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "application_name": "cpc-engine validator",
    "client_encoding": "UTF8",
    # A server that sees its client gone gives up the client's locks as soon.
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
    " -c default_transaction_isolation=read\\ committed -c synchronous_commit=on",
}
_kept: Secret[dict[str, Any]] = Secret({})


def connect_options(url: str) -> dict[str, Any]:
    """Return what psycopg.connect takes. Raises psycopg.Error."""
    return _CONNECT | _password() | conninfo_to_dict(url)


def name_of(url: str) -> str:
    """Return host and database, as messages name it. Raises BadInput for a URL that is not taken."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        parts = {}
    if not parts:
        raise BadInput(
            _("--store takes the URL of a PostgreSQL database"),
            advice=_("As in postgresql://HOST/DATABASE?user=USER."),
        )
    if "options" in parts:
        raise BadInput(
            _("--store takes no options: those that the market rests on are set here"),
            advice=_("Leave options=... out, or set them on the server (ALTER ROLE ... SET)."),
        )
    if {"password", "sslpassword"} & parts.keys():
        raise BadInput(
            _("a password in --store can be seen by every user of this machine"),
            advice=_("Put it into ~/.pgpass (mode 0600) or the variable PGPASSWORD."),
        )
    return f"{parts.get('dbname', '')}@{parts.get('host') or parts.get('hostaddr') or 'localhost'}"


def _password() -> dict[str, Any]:
    """Take PGPASSWORD out of the environment, so that no child of this process inherits it."""
    global _kept
    if (found := os.environ.pop("PGPASSWORD", None)) is not None:
        _kept = Secret({"password": found})
    return _kept.reveal()
