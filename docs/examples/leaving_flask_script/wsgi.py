"""The project's commands: flask COMMAND. Flask looks for a file of this name by itself."""

import click

from app import Todo, app, search


@app.cli.command()
@click.argument("text")
@click.option("-o", "--open", "only_open", is_flag=True, help="Not what is done.")
@click.option("-n", "--limit", default=10, show_default=True, help="How many at most.")
def find(text, only_open, limit):
    """Print the todos whose title contains TEXT."""
    found = [todo for todo in search(text) if not (only_open and todo.completed)]
    for todo in found[:limit]:
        click.echo(f"{todo.id} {todo.title}")


@app.cli.command()
@click.argument("path")
@click.option("-X", "--method", default="GET", show_default=True, help="The HTTP method.")
def request(path, method):
    """Send a request through the app. The exit code is 1 where the status is 400 or more."""
    response = app.test_client().open(path, method=method)
    click.echo(response.status)
    click.echo(response.get_data(as_text=True))
    if response.status_code >= 400:
        raise SystemExit(1)


@app.shell_context_processor
def shell_names():
    """Return what `flask shell` knows, besides `app`."""
    return {"Todo": Todo}
