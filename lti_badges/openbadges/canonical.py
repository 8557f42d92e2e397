"""JSON-LD with bundled contexts only: canonical form (RDFC-1.0) and the check that nothing drops.

Source: W3C RDF Dataset Canonicalization 1.0; Open Badges 3.0 asks issuers for JSON-LD safe mode.
"""

from __future__ import annotations

import json
from functools import cache, lru_cache
from importlib import resources
from threading import Lock
from typing import Any

from pyld import jsonld

from lti_badges.openbadges.errors import CredentialError

VC_CONTEXT = "https://www.w3.org/ns/credentials/v2"
OB_CONTEXT = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
# PyLD resolves relative names against this address where a document has none of its own.
RELATIVE = "http://example.org/base/"
# PyLD's caches of contexts are shared by all threads and not made for it.
_one_at_a_time = Lock()


def canonical(document: dict[str, Any]) -> bytes:
    """The document's canonical N-Quads. Raises CredentialError for what can't be expanded."""
    # PyLD knows RDFC-1.0 by its older name; the output is the same.
    options: Any = {
        "algorithm": "URDNA2015",
        "format": "application/n-quads",
        "documentLoader": load_context,
    }
    try:
        with _one_at_a_time:
            return str(jsonld.normalize(document, options)).encode()
    except (jsonld.JsonLdError, KeyError, TypeError, AttributeError) as error:
        raise CredentialError(f"The document is not usable JSON-LD: {error}.") from error


@lru_cache(maxsize=256)
def canonical_options(options: str) -> bytes:
    """Canonical proof options, given as JSON text: the same for all credentials of a second."""
    return canonical(json.loads(options))


def assert_nothing_dropped(document: dict[str, Any]) -> None:
    """Raises CredentialError naming the first term that expansion would drop or leave relative:
    it would be missing from what is signed."""
    dropped: list[str] = []
    processor = jsonld.JsonLdProcessor(on_property_dropped=lambda term: dropped.append(str(term)))
    options = {
        "documentLoader": load_context,
        "base": RELATIVE,
        "keepFreeFloatingNodes": True,
        "isFrame": False,
        "extractAllScripts": False,
        "processingMode": "json-ld-1.1",
    }
    try:
        with _one_at_a_time:
            expanded = processor.expand(document, options)  # type: ignore[no-untyped-call]
    except (jsonld.JsonLdError, KeyError, TypeError, AttributeError) as error:
        raise CredentialError(f"The document is not usable JSON-LD: {error}.") from error
    if dropped:
        raise CredentialError(f"The term “{dropped[0]}” is in no context and would not be signed.")
    _refuse_relative(expanded)


def _refuse_relative(expanded: Any) -> None:
    if isinstance(expanded, list):
        for part in expanded:
            _refuse_relative(part)
    elif isinstance(expanded, dict):
        names = [expanded.get("@id", ""), *_listed(expanded.get("@type", ""))]
        for name in names:
            if isinstance(name, str) and (name.startswith(RELATIVE) or (name and ":" not in name)):
                short = name.removeprefix(RELATIVE)
                raise CredentialError(f"“{short}” is no absolute address and would not be signed.")
        for value in expanded.values():
            _refuse_relative(value)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def load_context(url: str, _options: dict[str, Any] | None = None) -> dict[str, Any]:
    """PyLD's document loader: the bundled contexts, and never the network."""
    document = _contexts().get(url)
    if document is None:
        raise jsonld.JsonLdError(  # type: ignore[no-untyped-call]
            f"the context {url} is not bundled", "jsonld.LoadDocumentError", code="loading failed"
        )
    return {
        "contextUrl": None,
        "documentUrl": url,
        "contentType": "application/ld+json",
        "document": document,
    }


@cache
def _contexts() -> dict[str, Any]:
    folder = resources.files("lti_badges.openbadges") / "contexts"
    index = json.loads((folder / "index.json").read_text("utf-8"))
    return {
        url: json.loads((folder / entry["file"]).read_text("utf-8")) for url, entry in index.items()
    }
