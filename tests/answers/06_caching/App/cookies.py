import json
import zlib

from flask.sessions import session_json_serializer
from itsdangerous import URLSafeTimedSerializer
from itsdangerous.encoding import base64_decode
from itsdangerous.exc import BadData


def read(cookie):
    try:
        found = URLSafeTimedSerializer("any key", serializer=session_json_serializer)
        signed, _time, _signature = cookie.rsplit(".", 2)
        values = found.load_payload(signed.encode())
        base64_decode(_signature)
    except (BadData, zlib.error) as error:
        raise ValueError from error
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False)
