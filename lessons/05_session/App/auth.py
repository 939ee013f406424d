"""Who asks: g.user is a User, or None for a guest."""

# TODO 5.5: Write init_app(app), which has the user of the session put into g.user before each
#   request. Write log_in(user) and log_out(), which change the session.


# TODO 5.6: Write the decorator login_required. It sends a guest to /login?next=..., with the path
#   and the query that were asked for.


# TODO 5.8: Let log_in() begin a session with a new id and nothing of the old one in it. The user's
#   id comes before regenerate(), which does nothing to an empty session.
