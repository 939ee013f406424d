"""The error pages of the whole app, for every error that HTTP has a status for."""

# TODO 2.5: Handle HTTPException for the whole app: the page names the error and has the
#   navigation of the other pages, and the status stays what it was. Call this in create_app().
