"""Run as a program of its own: draws or decodes one picture from standard input, with limits.

Pictures come from outside, and drawing or decoding one can take all memory, all time, or the whole
process. This file imports nothing of the tool: it starts fast, and there is nothing to find in it.
Arguments: `svg SIZE` draws an SVG as PNG, `png MAX_PIXELS` tries a PNG, `jpeg MAX_PIXELS` makes a
PNG of a JPEG; PNG bytes come out on standard output (nothing for `png`). Status 3: too many pixels.
"""

import io
import sys

CPU_S = 6
MEMORY_BYTES = 700_000_000
TOO_MANY = 3


def limit() -> None:
    """The kernel ends this process when it takes more."""
    try:
        import resource
    except ImportError:  # Windows: the caller's time limit remains
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def draw(content: bytes, size: int) -> bytes:
    """An SVG as PNG, `size` pixels square."""
    import resvg_py

    limit()
    return bytes(resvg_py.svg_to_bytes(svg_string=content.decode(), width=size, height=size))


def decode(content: bytes, kind: str, most: int) -> bytes:
    """Decodes a picture whole; a JPEG comes out as PNG."""
    from PIL import Image

    limit()
    Image.MAX_IMAGE_PIXELS = None  # our own limit is checked below, before anything is decoded
    with Image.open(io.BytesIO(content), formats=[kind]) as image:
        if image.width * image.height > most:
            sys.exit(TOO_MANY)
        image.load()
        if kind == "PNG":
            return b""
        out = io.BytesIO()
        image.convert("RGB").save(out, "PNG")
        return out.getvalue()


if __name__ == "__main__":
    what, number = sys.argv[1], int(sys.argv[2])
    given = sys.stdin.buffer.read()
    made = draw(given, number) if what == "svg" else decode(given, what.upper(), number)
    sys.stdout.buffer.write(made)
