"""The project's command line: python manage.py COMMAND."""

import legacy  # restores what flask_script misses in today's Flask, so it comes first

from flask_script import Manager, Server
from flask_script.commands import ShowUrls

from App import create_app
from App.models import Todo, search

app = create_app()
manager = Manager(app)
manager.add_command(
    "runserver", Server(host=app.config["HOST"], port=app.config["PORT"], threaded=True)
)
manager.add_command("urls", ShowUrls())


# TODO 3.3: Let find take its todos from Todo too.
@manager.option("text", help="what the title contains")
@manager.option("-o", "--open", dest="only_open", action="store_true", help="not what is done")
@manager.option("-n", "--limit", type=int, default=10, help="how many at most (default: 10)")
def find(text, only_open, limit):
    """Print the todos whose title contains TEXT."""
    found = [todo for todo in search(text) if not (only_open and todo.completed)]
    for todo in found[:limit]:
        print(todo.id, todo.title)


# TODO 3.2: The command create_db makes the tables that are not there: db.create_all().


# TODO 3.5: The command seed N adds N todos, by many rows in a statement, and commits once. It shows
#   how far it is.


# TODO 3.7: The command import FILE adds the todos that read_csv() of App/models/csv_file.py gives,
#   all or none. Where read_csv() raises an error, say what is wrong, and end with exit code 1.


@manager.option("path", help="what to ask for, such as /todos?q=milk")
@manager.option("-X", "--method", default="GET", help="the HTTP method (default: GET)")
def request(path, method):
    """Send a request through the app. The exit code is 1 where the status is 400 or more."""
    response = app.test_client().open(path, method=method)
    print(response.status)
    print(response.get_data(as_text=True))
    return int(response.status_code >= 400)


@manager.shell
def shell_names():
    return {"app": app, "Todo": Todo}


if __name__ == "__main__":
    manager.run()
