"""What can be wrong with a credential or a picture."""


class CredentialError(ValueError):
    """A document that must not be signed, or can't be read; the message is a whole sentence."""
