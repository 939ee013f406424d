"""The todo list as a package: create_app() puts its parts together."""

# TODO 2.1: Write create_app(settings=None). It makes a Flask app, takes the configuration from
#   App/settings.py, then from the dict `settings`, and returns the app.
#   Move the folder static into App: Flask looks for it beside this file.
