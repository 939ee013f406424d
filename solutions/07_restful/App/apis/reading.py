"""What a request asks for: read field by field, and refused field by field."""

import re

from flask import request
from werkzeug.exceptions import BadRequest

from App.models.text import TITLE_LENGTH, clean

MAX_ORDER = 2**31 - 1  # what an INTEGER column of every database holds
MAX_PAGE = 10_000
MAX_PER_PAGE = 100


class Refused(BadRequest):
    """400, with a message for each field in `errors`. What an error has in `data` is shown."""

    def __init__(self, errors):
        super().__init__("Some fields are refused.")
        self.data = {"message": self.description, "errors": errors}


def read(given, readers, required=()):
    """Return each value as its reader does; raise Refused for those that raise ValueError."""
    values = {}
    errors = {name: "This field is missing." for name in required if name not in given}
    for name, value in given.items():
        try:
            values[name] = readers.get(name, unknown)(value)
        except ValueError as error:
            errors[name] = str(error)
    if errors:
        raise Refused(errors)
    return values


def unknown(value):
    raise ValueError("There is no such field.")


def read_todo(required=()):
    """Return the fields of the todo in the request's JSON, or raise Refused (or 400, 413, 415)."""
    try:
        given = request.get_json()
    except (BadRequest, RecursionError):
        raise BadRequest("This is not JSON, or it is too deep.") from None
    if not isinstance(given, dict):
        raise BadRequest("A todo is a JSON object.")
    return read(given, {"title": title, "completed": completed, "order": order}, required)


def title(value):
    if not isinstance(value, str):
        raise ValueError("A title is a string.")
    return clean("title", value, TITLE_LENGTH)


def completed(value):
    if not isinstance(value, bool):
        raise ValueError("This is true or false.")
    return value


def order(value):
    if value is None:
        return None
    number = type(value) in (int, float)  # isinstance would let True pass, and JSON has 2.0 for 2
    if not number or not abs(value) <= MAX_ORDER or value % 1:
        raise ValueError(f"This is null, or a whole number from -{MAX_ORDER} to {MAX_ORDER}.")
    return int(value)


def read_page():
    """Return which page of how many todos is asked for, or raise Refused."""
    readers = {"page": number_up_to(MAX_PAGE), "per_page": number_up_to(MAX_PER_PAGE)}
    asked = read(request.args, readers)
    return asked.get("page", 1), asked.get("per_page", 20)


def number_up_to(most):
    def read_number(text):
        if not re.fullmatch("[0-9]{1,5}", text) or not 1 <= int(text) <= most:
            raise ValueError(f"This is a whole number from 1 to {most}.")
        return int(text)

    return read_number
