"""What the app is about: todos."""
