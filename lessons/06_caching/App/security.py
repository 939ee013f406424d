"""What keeps others out: the key, the cookie's flags, forms of other sites, links to them."""

from flask import abort, request


def init_app(app):
    set_up_cookies(app.config)
    app.before_request(refuse_other_sites)


def set_up_cookies(config):
    """Raise RuntimeError where anyone could sign a cookie, except on a developer's own machine."""
    development = config["APP_ENV"] == "development"
    config["SESSION_COOKIE_SECURE"] = not development
    if not development and config["SECRET_KEY"] in (None, "", config["DEVELOPMENT_KEY"]):
        raise RuntimeError(
            "Set SECRET_KEY to a long random text that nobody else knows "
            "(or, on your own machine, APP_ENV to development)."
        )


def refuse_other_sites():
    """Refuse what a page of another site sends: the browser may add our visitor's cookie to it."""
    if request.method not in ("GET", "HEAD", "OPTIONS") and from_other_site():
        abort(403, "This was sent from another site.")


def from_other_site():
    """Tell where the request comes from. Browsers say so themselves; a program says nothing."""
    sent_from = request.headers.get("Sec-Fetch-Site")
    if sent_from:
        return sent_from not in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is not None and origin.partition("://")[2] != request.host


def is_local(url):
    """Tell whether the URL is a path of this site, however a browser reads it."""
    unclear = "\\" in url or any(ord(character) <= ord(" ") for character in url)
    return url.startswith("/") and not url.startswith("//") and not unclear
