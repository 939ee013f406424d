"""What a request asks for: read field by field, and refused field by field."""

from werkzeug.exceptions import BadRequest


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


# TODO 7.3: A function read_todo(required=()) that returns the fields of the todo in the request's
#   JSON. What is no JSON object is refused with 400, and so is one so deep that get_json() raises
#   RecursionError. read() above refuses field by field: give it a dictionary with a reader for
#   title, completed and order. A reader gets the value and returns it, or raises ValueError.


# TODO 7.7: A function read_page() that returns page and per_page of the address as numbers, 1 and
#   20 where they are missing. read() reads request.args too. Take 1 to 10 000, and 1 to 100, and
#   say in words of your own what else is refused.
