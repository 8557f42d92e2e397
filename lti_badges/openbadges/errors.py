"""What can be wrong with a credential or a picture."""


class CredentialError(ValueError):
    """A document that must not be signed, or can't be read; the message is a whole sentence."""


class NotChecked(CredentialError):
    """Something could not be found out: it speaks neither for nor against the credential."""
