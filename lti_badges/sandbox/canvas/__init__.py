"""Canvas, played after its public source (app/controllers/lti/ims, lib/canvas) and API docs."""

from lti_badges.sandbox.canvas.vendor import Canvas

VENDOR = Canvas
