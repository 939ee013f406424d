"""The views: a module and a blueprint for each feature."""
