"""JSON-LD with bundled contexts only: canonical form (RDFC-1.0) and the check that nothing drops.

Source: W3C RDF Dataset Canonicalization 1.0; Open Badges 3.0 asks issuers for JSON-LD safe mode.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib import resources
from threading import Lock
from typing import Any

from cachetools import LRUCache
from pyld import jsonld

from lti_badges.openbadges.errors import CredentialError

VC_CONTEXT = "https://www.w3.org/ns/credentials/v2"
OB_CONTEXT = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
# PyLD resolves relative names against this address where a document has none of its own.
RELATIVE = "http://example.org/base/"
# PyLD's caches of contexts are shared by all threads and not made for it.
_one_at_a_time = Lock()
_processed: LRUCache[tuple[Any, ...], tuple[Any, Any, Any]] = LRUCache(maxsize=500)


class _Processor(jsonld.JsonLdProcessor):
    """PyLD, remembering what it made of a context inside another: it processes the scoped contexts
    of Open Badges anew for each node, half the time of a signature. The results are not changed
    afterwards (PyLD shares those of its own caches too)."""

    def _process_context(
        self, active_ctx: Any, local_ctx: Any, options: Any, *args: Any, **more: Any
    ) -> Any:
        if args or "cycles" in more:  # PyLD's own check of a context while it is made
            return super()._process_context(  # type: ignore[no-untyped-call]
                active_ctx, local_ctx, options, *args, **more
            )
        names = tuple(local_ctx) if isinstance(local_ctx, list) else (local_ctx,)
        by_name = all(isinstance(name, str) for name in names)
        key = (
            id(active_ctx),
            names if by_name else id(local_ctx),
            options.get("base"),
            *sorted(more.items()),
        )
        kept = _processed.get(key)
        # What an id stands for is kept with it, so that no other object can have that id.
        if kept is not None and kept[0] is active_ctx and (by_name or kept[1] is local_ctx):
            return kept[2]
        made = super()._process_context(  # type: ignore[no-untyped-call]
            active_ctx, local_ctx, options, **more
        )
        _processed[key] = (active_ctx, local_ctx, made)
        return made


class _Expanded(jsonld.JsonLdProcessor):
    """Takes documents that are expanded already, so that no document is expanded twice."""

    def expand(self, input_: Any, options: Any) -> Any:
        return input_


def canonical(document: dict[str, Any]) -> bytes:
    """The document's canonical N-Quads. Raises CredentialError for what can't be expanded."""
    with _usable():
        made = _Processor().normalize(document, dict(_CANONICAL))  # type: ignore[no-untyped-call]
        return str(made).encode()


def canonical_whole(document: dict[str, Any]) -> bytes:
    """The same of a document of which nothing is lost. Raises CredentialError naming the first term
    that expansion would drop or leave relative: it would be missing from what is signed."""
    expanded = _expanded_whole(document)
    with _usable():
        made = _Expanded().normalize(expanded, dict(_CANONICAL))  # type: ignore[no-untyped-call]
        return str(made).encode()


@lru_cache(maxsize=256)
def canonical_options(options: str) -> bytes:
    """Canonical proof options, given as JSON text: the same for all credentials of a second."""
    return canonical(json.loads(options))


def _expanded_whole(document: dict[str, Any]) -> Any:
    dropped: list[str] = []
    processor = _Processor(on_property_dropped=lambda term: dropped.append(str(term)))
    options = {
        "documentLoader": load_context,
        "base": RELATIVE,
        "keepFreeFloatingNodes": True,
        "isFrame": False,
        "extractAllScripts": False,
        "processingMode": "json-ld-1.1",
    }
    with _usable():
        expanded = processor.expand(document, options)  # type: ignore[no-untyped-call]
    if dropped:
        raise CredentialError(f"The term “{dropped[0]}” is in no context and would not be signed.")
    _refuse_relative(expanded)
    return expanded


@contextmanager
def _usable() -> Iterator[None]:
    """One thread at a time; what PyLD can't take becomes a CredentialError."""
    try:
        with _one_at_a_time:
            yield
    except (jsonld.JsonLdError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CredentialError(f"The document is not usable JSON-LD: {error}.") from error


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


def unknown_context(document: dict[str, Any]) -> str | None:
    """The first context of a document, by its address, that is not bundled."""
    named = [each for each in _listed(document.get("@context")) if isinstance(each, str)]
    return next((each for each in named if each not in _contexts()), None)


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
        # PyLD keeps what it made of a context with this tag: ours never change.
        "tag": "static",
        "document": document,
    }


# PyLD knows RDFC-1.0 by its older name; the output is the same.
_CANONICAL: dict[str, Any] = {
    "algorithm": "URDNA2015",
    "format": "application/n-quads",
    "documentLoader": load_context,
}


@cache
def _contexts() -> dict[str, Any]:
    folder = resources.files("lti_badges.openbadges") / "contexts"
    index = json.loads((folder / "index.json").read_text("utf-8"))
    return {
        url: json.loads((folder / entry["file"]).read_text("utf-8")) for url, entry in index.items()
    }
