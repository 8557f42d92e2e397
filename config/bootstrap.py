"""Makes the virtual environment, also where Python came without `ensurepip` (bare Debian).

Only the standard library is at hand here. Without ensurepip, pip's own wheel is fetched from the
package index (PEP 503) that pip itself would use: PIP_INDEX_URL, pip.conf, else PyPI. A wheel is
a zip file that Python runs as it is, so that pip then installs itself.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import venv
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

PYPI = "https://pypi.org/simple"
LEAST = (3, 11)
TIMEOUT_S = 60
# pip's name, a plain version (no pre-release), pure Python.
WHEEL = re.compile(r"pip-(\d+(?:\.\d+)*)-(?:py2\.)?py3-none-any\.whl")


def main(folder: Path) -> None:
    """Make `folder` a virtual environment with pip. Exits with one line when it can't."""
    if sys.version_info < LEAST:
        wanted, found = ".".join(map(str, LEAST)), sys.version.split()[0]
        sys.exit(f"lti-badges needs Python {wanted} or newer; this is {found}.")
    try:
        make(folder)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        shutil.rmtree(folder, ignore_errors=True)  # half an environment would look finished
        sys.exit(f"The virtual environment {folder} can't be made: {error}.")


def make(folder: Path) -> None:
    """With ensurepip where it works, else with pip's wheel."""
    venv.create(folder, with_pip=False, clear=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    # Not venv's own `with_pip`: Debian's prints a page about apt and exits where it can't.
    bundled = [str(python), "-Im", "ensurepip", "--default-pip"]
    if subprocess.run(bundled, check=False, capture_output=True).returncode == 0:  # noqa: S603
        return
    with tempfile.TemporaryDirectory() as scratch:
        wheel = fetch_pip(index_url(), Path(scratch))
        command = [str(python), f"{wheel}/pip", "install", "--quiet", "--no-index", str(wheel)]
        subprocess.run(command, check=True)  # noqa: S603 - the interpreter just made


def index_url() -> str:
    """The index pip is configured with."""
    if url := os.environ.get("PIP_INDEX_URL"):
        return url
    for file in _config_files():
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, "utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue
        for section in ("install", "global"):
            if parser.has_option(section, "index-url"):
                return parser.get(section, "index-url").strip()
    return PYPI


def fetch_pip(index: str, folder: Path) -> Path:
    """Download the newest pip wheel of a simple index, checked against the hash it names."""
    page_url = f"{index.rstrip('/')}/pip/"
    links = _Links()
    links.feed(_get(page_url).decode("utf-8", "replace"))
    wheels = {}
    for href in links.found:
        url, fragment = urldefrag(urljoin(page_url, href))
        name = unquote(Path(urlsplit(url).path).name)
        if match := WHEEL.fullmatch(name):
            version = tuple(int(part) for part in match.group(1).split("."))
            wheels[version] = (name, url, fragment)
    if not wheels:
        raise ValueError(f"{page_url} lists no wheel of pip")
    name, url, fragment = wheels[max(wheels)]
    content = _get(url)
    algorithm, _, expected = fragment.partition("=")
    if expected and hashlib.new(algorithm, content).hexdigest() != expected:
        raise ValueError(f"{url} is not the file that the index names")
    wheel = folder / name
    wheel.write_bytes(content)
    return wheel


class _Links(HTMLParser):
    """The href of every anchor of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _get(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"Accept": "text/html, */*;q=0.1"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - pip's index
        return bytes(answer.read())


def _config_files() -> list[Path]:
    if named := os.environ.get("PIP_CONFIG_FILE"):
        return [Path(named)]
    home = Path.home()
    return [home / ".config/pip/pip.conf", home / ".pip/pip.conf", Path("/etc/pip.conf")]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
