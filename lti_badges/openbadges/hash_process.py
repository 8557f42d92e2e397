"""Run as a program of its own: the hash that a proof signs, of a document from a stranger.

The canonical form of a document that was made for it takes all time and memory there is (RDFC-1.0
§7.1, “dataset poisoning”), and the tool signs with the same library, one document at a time.
Standard input is `[document, proof options]`, standard output `{"hash": hex}` or `{"error": text}`.
"""

import json
import sys

from lti_badges.openbadges.draw_process import limit
from lti_badges.openbadges.errors import CredentialError
from lti_badges.openbadges.proofs import hash_data

if __name__ == "__main__":
    limit()
    try:
        answer = {"hash": hash_data(*json.loads(sys.stdin.buffer.read())).hex()}
    except CredentialError as error:
        answer = {"error": str(error)}
    sys.stdout.write(json.dumps(answer))
