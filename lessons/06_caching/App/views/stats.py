"""The page of the statistics."""

# TODO 6.1: Make a blueprint with the page /stats, and register it in create_app(). It shows
#   stats.html with numbers, which get_statistics() returns, and days, which is 30. The first of
#   these days is now().date() - timedelta(days=days - 1).


# TODO 6.3: Give the response the header X-Cache, which is g.cache.


# TODO 6.4: Take days from the query string: ?days=7. Below 1 and above 366, abort(400, "why"), and
#   before timedelta gets it: that raises OverflowError for a number that is far too large.
