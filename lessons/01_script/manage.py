"""The project's command line: python manage.py COMMAND."""

# TODO 1.1: Make a Manager for the app. Import legacy before flask_script: it makes flask_script
#   work on today's Flask. The call of its run() goes to the end of this file.


# TODO 1.2: Add your own runserver: a Server whose host and port come from app.config, and which
#   is threaded.


# TODO 1.3: Add a command: find TEXT prints the id and title of each todo that contains TEXT, a
#   line each. --open (-o) leaves out what is done; --limit (-n) says how many at most.


# TODO 1.4: Add a command: request PATH sends a GET (or what --method, -X, says) through the app
#   without a server and prints the status and the body. Its exit code is 1 from status 400 up.


# TODO 1.5: Add a command: urls prints the app's URL map. Flask-Script has a class for it.


# TODO 1.6: Give the shell the names app and Todo.


# TODO 1.1: Here, below all commands, let the manager run when this file is started.
