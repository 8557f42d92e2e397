"""Static files: addresses that change with their content, kept by browsers for a year, compressed
once."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from functools import cache
from pathlib import Path

from flask import Flask, Response, request, send_from_directory, url_for

FOLDER = Path(__file__).parent / "static"
YEAR_S = 31_536_000
COMPRESSED = frozenset({".css", ".js", ".svg"})


def prepare_assets(app: Flask) -> None:
    """Serve `static/` by content: the template function `asset("app.css")` names the address."""
    app.view_functions["static"] = _static
    app.jinja_env.globals.update(asset=asset)


def asset(filename: str) -> str:
    """The address of a static file, with the hash of its content."""
    return url_for("static", filename=filename, v=_digest(filename))


def _static(filename: str) -> Response:
    known = filename in _names()
    if (
        known
        and Path(filename).suffix in COMPRESSED
        and request.accept_encodings.quality("gzip") > 0
    ):
        response = Response(_compressed(filename), mimetype=mimetypes.guess_type(filename)[0])
        response.headers["Content-Encoding"] = "gzip"
    else:
        response = send_from_directory(FOLDER, filename)
    response.headers["Vary"] = "Accept-Encoding"
    if known and request.args.get("v") == _digest(filename):
        response.headers["Cache-Control"] = f"public, max-age={YEAR_S}, immutable"
    else:
        response.headers["Cache-Control"] = "no-cache"
    return response


@cache
def _names() -> frozenset[str]:
    return frozenset(str(file.relative_to(FOLDER)) for file in FOLDER.rglob("*") if file.is_file())


@cache
def _digest(filename: str) -> str:
    return hashlib.sha256((FOLDER / filename).read_bytes()).hexdigest()[:12]


@cache
def _compressed(filename: str) -> bytes:
    return gzip.compress((FOLDER / filename).read_bytes(), compresslevel=9, mtime=0)
