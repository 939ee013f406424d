"""Every response says how long it took, in the header Server-Timing."""

from time import perf_counter

from flask import g


def init_app(app):
    app.before_request(start_clock)
    app.after_request(add_timing)


def start_clock():
    g.started = perf_counter()


def add_timing(response):
    milliseconds = (perf_counter() - g.started) * 1000
    response.headers["Server-Timing"] = f"app;dur={milliseconds:.3f}"
    return response
