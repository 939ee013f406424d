"""What keeps others out: the key, the cookie's flags, forms of other sites, links to them."""

# TODO 5.2: Write init_app(app). Unless APP_ENV is "development", it sets SESSION_COOKIE_SECURE to
#   True, and raises a RuntimeError that says what to do if SECRET_KEY is empty or DEVELOPMENT_KEY.


# TODO 5.6: Write is_local(url), which tells whether a URL is a path of this site, however a browser
#   reads it.


# TODO 5.8: Before each request: refuse with 403 what the page of another site sends. GET, HEAD and
#   OPTIONS change nothing and may come from anywhere.
