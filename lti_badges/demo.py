"""The demo: an LMS, the tool and the built-in issuer in one process tree, with nothing to set up.

The tool is registered as any admin would do it; from then on both speak over HTTP only.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from werkzeug.serving import WSGIRequestHandler, make_server

from lti_badges import lms
from lti_badges.backends import ensure_default
from lti_badges.context import ToolContext
from lti_badges.core.errors import HttpError, SettingsError
from lti_badges.core.http import Http
from lti_badges.sandbox import Tool, World, create_sandbox, demo_world
from lti_badges.settings import Settings
from lti_badges.store import BackendRow, Deployment, Platform, upgrade

CLIENT_ID = "sandbox-badges"
DEPLOYMENT = "1"
STARTING_S = 120.0


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002
        """The demo's screen is for people."""


def run_demo(port: int, kind: str) -> None:
    """Run until Ctrl-C. Raises SettingsError when a port is taken."""
    for each in (port, port + 1):
        _must_be_free(each)
    print("Starting an LMS with a course, the tool and its issuer: a few seconds …", flush=True)
    with tempfile.TemporaryDirectory(prefix="lti-badges-demo-") as folder:
        # Two names of this machine are two sites for a browser, like a real LMS and a real tool.
        world = demo_world(f"http://localhost:{port + 1}", kind)
        settings = demo_settings(Path(folder), port)
        register(settings, world)
        server = make_server(
            "127.0.0.1",
            port + 1,
            create_sandbox(world),
            threaded=True,
            request_handler=_Quiet,
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tool = _start_tool(settings, port)
        try:
            _wait_for(settings.base_url, tool)
            print(_welcome(world, settings), flush=True)
            _until_told(tool)
        finally:
            tool.terminate()
            tool.wait(timeout=40)
            server.shutdown()


def demo_settings(folder: Path, port: int) -> Settings:
    """A tool that keeps everything in one folder."""
    return Settings(
        base_url=f"http://127.0.0.1:{port}",
        database_url=f"sqlite:///{folder}/demo.db",
        keys_dir=folder / "keys",
    )


def register(settings: Settings, world: World) -> None:
    """Each side learns of the other, as an admin enters it by hand."""
    tool = ToolContext.build(settings)
    upgrade(tool.database)
    ensure_default(tool.sessions)
    tool.keys.open()
    connection = world.vendor.connection(world)
    with tool.sessions.begin() as session:
        session.add(
            Platform(
                lms=world.vendor.key,
                name="Sandbox campus",
                issuer=world.issuer,
                client_id=CLIENT_ID,
                auth_login_url=f"{world.base_url}/lti/auth",
                auth_token_url=f"{world.base_url}/lti/token",
                key_set_url=f"{world.base_url}/lti/jwks.json",
                auth_audience=world.vendor.token_audience,
                connection=tool.cipher.seal(connection) if connection else None,
                deployments=[Deployment(deployment_id=DEPLOYMENT, state="approved")],
            )
        )
        for row in session.query(BackendRow):
            row.settings = {"issuer_name": "Sandbox campus", "issuer_url": "https://example.org"}
    tool.close()
    base = settings.base_url
    world.register_tool(
        Tool(
            client_id=CLIENT_ID,
            name="Badges",
            login_url=f"{base}/lti/login",
            redirect_uris=(f"{base}/lti/launch",),
            jwks_url=f"{base}/lti/jwks.json",
            target_link_uri=f"{base}/lti/launch",
            deployment_ids=(DEPLOYMENT,),
            scopes=frozenset(world.scopes),
            custom=dict(lms.of(world.vendor.key).custom_parameters),
        )
    )


def _start_tool(settings: Settings, port: int) -> subprocess.Popen[bytes]:
    """The tool as `lti-badges serve` runs it: the same server, the same background work."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("LTI_BADGES_")
    }
    environment |= {
        "LTI_BADGES_BASE_URL": settings.base_url,
        "LTI_BADGES_DATABASE_URL": settings.database_url,
        "LTI_BADGES_KEYS_DIR": str(settings.keys_dir.resolve()),
    }
    command = [sys.executable, "-m", "lti_badges", "serve", "--port", str(port)]
    log = (settings.keys_dir.parent / "tool.log").open("wb")
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command, env=environment, cwd=settings.keys_dir.parent, stdout=log, stderr=log
    )


def _wait_for(base_url: str, tool: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTING_S
    with Http(allow_loopback=True) as http:
        while time.monotonic() < deadline and tool.poll() is None:
            try:
                if http.get(f"{base_url}/readyz").ok:
                    return
            except HttpError:
                time.sleep(0.1)
    raise SettingsError("The tool did not start; run “lti-badges serve” to see why.")


def _welcome(world: World, settings: Settings) -> str:
    return f"""
  lti-badges is running on this machine.

    Open      {world.base_url}/
    The tool  {settings.base_url}/

  Enter as the instructor, open Badges, and attach “Final quiz at least 80 %”.
  Then grade somebody in the gradebook and enter as that learner.
  Nothing is kept: stop with Ctrl-C, and it is gone.
"""


def _until_told(tool: subprocess.Popen[bytes]) -> None:
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    while not ended.wait(0.5):
        if tool.poll() is not None:
            raise SettingsError("The tool stopped by itself.")


def _must_be_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise SettingsError(
                f"Port {port} is taken by another program; choose another: lti-badges demo --port N"
            ) from None
