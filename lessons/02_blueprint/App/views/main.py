"""The pages that belong to no feature."""

# TODO 2.3: Make a blueprint with the pages / and /hello/<name>. Register it in create_app().
