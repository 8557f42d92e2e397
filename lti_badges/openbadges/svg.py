"""SVG from outside: parsed by an XML parser that expands nothing, and refused where it is more than
a picture."""

from __future__ import annotations

import re

from lxml import etree

from lti_badges.openbadges.errors import CredentialError

MAX_DEPTH = 60
MAX_ELEMENTS = 20_000
_FORBIDDEN_TAGS = frozenset({"script", "foreignobject", "iframe", "embed", "object", "handler"})
_OUTSIDE = re.compile(r"url\(\s*['\"]?\s*(?!#)|javascript:|@import", re.IGNORECASE)
_FILTER = re.compile(r"(?:^|[;{\s])(?:backdrop-)?filter\s*:\s*(?!none)", re.IGNORECASE)
_EMBEDDED = re.compile(r"data:image/(?:png|jpe?g|gif|webp)[;,]", re.IGNORECASE)
FILTERS = "The SVG file uses filters (shadow, blur, noise …); export it without effects."


def parse(content: bytes) -> etree._Element:
    """The root element. Raises CredentialError for what is no well-formed XML, or is an XML
    document with declarations or nested too deep."""
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        if "depth" in str(error):
            raise CredentialError(_TOO_DEEP) from None
        raise CredentialError("The SVG file is not well-formed; export it anew.") from None
    except ValueError:
        raise CredentialError("The SVG file is not well-formed; export it anew.") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise CredentialError("The SVG file declares a DOCTYPE; export it as plain SVG.")
    return root


def checked(content: bytes) -> None:
    """Raises CredentialError for an SVG that does, loads or costs more than a picture should."""
    root = parse(content)
    if local_name(root) != "svg":
        raise CredentialError("The file is not an SVG picture.")
    count = 0
    stack = [(root, 1)]
    while stack:
        element, depth = stack.pop()
        count += 1
        if depth > MAX_DEPTH:
            raise CredentialError(_TOO_DEEP)
        if count > MAX_ELEMENTS:
            raise CredentialError("The SVG file has too many parts; export it simpler.")
        if isinstance(element.tag, str):
            _refuse_active(element)
        stack.extend((child, depth + 1) for child in element)


def local_name(element: etree._Element) -> str:
    """The tag without its namespace, in lower case; empty for a comment."""
    tag = element.tag
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""


_TOO_DEEP = "The SVG file nests too many groups in each other; export it simpler."


def _refuse_active(element: etree._Element) -> None:
    tag = local_name(element)
    if tag in _FORBIDDEN_TAGS:
        raise CredentialError(f"The SVG file holds a <{tag}>; export it as a plain picture.")
    if tag == "filter" or (tag.startswith("fe") and len(tag) > 4):
        raise CredentialError(FILTERS)
    if tag == "style" and element.text:
        _refuse_style(element.text)
    for name, value in element.attrib.items():
        _refuse_attribute(str(name).rpartition("}")[2].lower(), str(value))


def _refuse_style(text: str) -> None:
    if _OUTSIDE.search(text):
        raise CredentialError("The SVG file refers to something outside itself; embed it.")
    if _FILTER.search(text):
        raise CredentialError(FILTERS)


def _refuse_attribute(name: str, value: str) -> None:
    if name == "filter" and value.strip() not in {"", "none"}:
        raise CredentialError(FILTERS)
    if name == "style" and _FILTER.search(value):
        raise CredentialError(FILTERS)
    outside = name == "href" and not (value.startswith("#") or _EMBEDDED.match(value))
    if name.startswith("on") or outside or _OUTSIDE.search(value):
        raise CredentialError("The SVG file holds a script or an outside reference; remove it.")
