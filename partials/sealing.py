"""Seals pieces of text for their way through the broker, which may hold no document in the clear.

AES-256-GCM, with a key of each job's own, derived by HKDF-SHA-256 (RFC 5869) from the installation's key and the job's id. What
stands beside the sealed text (run, attempt, place) is authenticated with it, so no entry can be passed off as another.
"""

import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
NONCE_BYTES = 12
"""96 random bits (NIST SP 800-38D, 8.2.2): good for 2^32 entries under one key, and a job has hundreds."""
_PURPOSE = b"assay partial text v1 "


class Unreadable(ValueError):
    """The entry was sealed with another key, for another place, or was changed."""


class Seal:
    """Seals and opens the text of one job.

    Args:
        stream_key: the installation's key, ``ASSAY_STREAM_KEY``: any text that cannot be guessed.
    """

    def __init__(self, stream_key: str, job_id: UUID) -> None:
        derived = HKDF(SHA256(), KEY_BYTES, salt=None, info=_PURPOSE + job_id.bytes).derive(stream_key.encode())
        self._cipher = AESGCM(derived)

    def seal(self, text: str, place: bytes) -> bytes:
        """Nonce and sealed text.

        Args:
            place: what is authenticated with it and travels in the clear beside it.
        """
        nonce = os.urandom(NONCE_BYTES)
        # Half a surrogate pair is no text that could be encoded otherwise, and a provider may send it.
        return nonce + self._cipher.encrypt(nonce, text.encode(errors="surrogatepass"), place)

    def open(self, sealed: bytes, place: bytes) -> str:
        """The text.

        Raises:
            Unreadable: see there.
        """
        try:
            text = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place)
        except (InvalidTag, ValueError):
            raise Unreadable("an entry does not open with this installation's ASSAY_STREAM_KEY") from None
        return text.decode(errors="surrogatepass")
