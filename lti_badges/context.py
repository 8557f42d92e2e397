"""The collaborators of a running tool, built once per process and handed to whoever needs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from sqlalchemy import Engine

from lti_badges.core.crypto import Cipher, KeyFolder
from lti_badges.core.http import Http
from lti_badges.core.links import LOOPBACK_HOSTS
from lti_badges.lti.keysets import KeySets
from lti_badges.lti.tokens import ServiceTokens
from lti_badges.settings import Settings
from lti_badges.store import Sessions, open_engine, open_sessions
from lti_badges.store.leases import Heartbeat
from lti_badges.store.signing_keys import SigningKeys

Enqueue = Callable[[str, str], None]
"""Tells the background that something is due: ("deliver", award id), ("sync", course id)."""


def no_queue(_task: str, _id: str) -> None:
    """The rows are the truth: without a queue the schedule or the next command finds them."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Settings, database, keys, and the clients that talk to platforms and backends."""

    settings: Settings
    database: Engine
    sessions: Sessions
    keys: SigningKeys
    cipher: Cipher
    http: Http
    tokens: ServiceTokens
    key_sets: KeySets
    heartbeat: Heartbeat
    enqueue: Enqueue = no_queue

    @classmethod
    def build(cls, settings: Settings) -> Self:
        """Open everything; makes the secret on first start. Touches no table."""
        folder = KeyFolder(settings.keys_dir)
        cipher = Cipher(settings.secret_key.get_secret_value() or folder.secret_key())
        loopback = settings.base_url.split("://")[1].split("/")[0].rsplit(":", 1)[0]
        http = Http(allow_loopback=loopback.strip("[]") in LOOPBACK_HOSTS)
        database = open_engine(settings.database_url, settings.database_connections)
        sessions = open_sessions(database)
        keys = SigningKeys(sessions, cipher, folder)
        return cls(
            settings=settings,
            database=database,
            sessions=sessions,
            keys=keys,
            cipher=cipher,
            http=http,
            tokens=ServiceTokens(http, keys),
            key_sets=KeySets(http),
            heartbeat=Heartbeat(sessions),
        )

    def with_queue(self, enqueue: Enqueue) -> Self:
        """The same tool with a queue behind it."""
        return replace(self, enqueue=enqueue)

    def close(self) -> None:
        """Give connections back."""
        self.http.close()
        self.database.dispose()
