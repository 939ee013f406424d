"""What Flask's own session cookie tells to anyone who has it."""

import base64
import zlib


def read(cookie):
    """Return what the cookie holds. No key is needed: it is signed, not encrypted.

    Raises ValueError where it is no such cookie.
    """
    payload, _time, _signature = cookie.removeprefix(".").split(".")
    data = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    try:
        return (zlib.decompress(data) if cookie.startswith(".") else data).decode()
    except zlib.error as error:
        raise ValueError(error) from error
