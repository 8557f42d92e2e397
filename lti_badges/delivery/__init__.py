"""Forwarding awards to their backends: claim, look up, send, settle, reconcile, move."""
