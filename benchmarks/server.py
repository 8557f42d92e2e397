"""One side in a process of its own: `python -m benchmarks.server SIDE PORT JSON`.

Every side runs under the same server, with as many threads. `floor` answers the two requests of a
launch and checks a signature with a key in memory; `pylti1p3` is the Flask set-up of its README
with the platform's key set given; `ours` is what `lti-badges serve` runs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jwt
from flask import Flask, request
from gunicorn.app.base import BaseApplication
from jwt import PyJWK
from pylti1p3.contrib.flask import FlaskMessageLaunch, FlaskOIDCLogin, FlaskRequest
from pylti1p3.tool_config import ToolConfDict
from werkzeug.wrappers import Response

from lti_badges.server import serve_forever
from lti_badges.settings import Settings

THREADS = 8


class _Server(BaseApplication):  # type: ignore[misc]
    def __init__(self, app: Flask, port: int) -> None:
        self.app, self.port = app, port
        super().__init__()

    def load_config(self) -> None:
        options = {"bind": f"127.0.0.1:{self.port}", "workers": 1, "threads": THREADS}
        for name, value in {**options, "worker_class": "gthread", "loglevel": "error"}.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return self.app


def floor_app(given: dict[str, Any]) -> Flask:
    """Checks a signature, stores nothing, shows one word."""
    app = Flask("floor")
    public = PyJWK(given["keys"]["keys"][0]).key

    @app.get("/lti/login")
    def login() -> str:
        return "ok"

    @app.post("/lti/launch")
    def launch() -> str:
        jwt.decode(request.form["id_token"], public, algorithms=["RS256"], audience="client-1")
        return "ok"

    return app


def pylti1p3_app(given: dict[str, Any]) -> Flask:
    """As its README; state and nonce are in Flask's session cookie, its default."""
    app = Flask("pylti1p3")
    app.secret_key = "a benchmark's"  # noqa: S105 - of no use to anybody
    config = ToolConfDict(
        {
            given["issuer"]: {
                "client_id": given["client_id"],
                "auth_login_url": f"{given['base']}/auth",
                "auth_token_url": f"{given['base']}/token",
                "key_set_url": None,
                "key_set": given["keys"],
                "deployment_ids": [given["deployment_id"]],
            }
        }
    )

    @app.get("/lti/login")
    def login() -> Response:
        asked: Response = FlaskOIDCLogin(FlaskRequest(), config).redirect(
            request.args["target_link_uri"]
        )
        return asked

    @app.post("/lti/launch")
    def launch() -> str:
        data = FlaskMessageLaunch(FlaskRequest(), config).get_launch_data()
        return f"Hello, {data['name']}"

    return app


def main() -> None:
    """Serve until told to stop."""
    side, port, given = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    if side == "ours":
        given["keys_dir"] = Path(given["keys_dir"])
        serve_forever(Settings(**given), "127.0.0.1", port, THREADS, 4)
    else:
        _Server({"floor": floor_app, "pylti1p3": pylti1p3_app}[side](given), port).run()


if __name__ == "__main__":
    main()
