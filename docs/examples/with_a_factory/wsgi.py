"""The commands of an app that a factory makes; gunicorn wsgi:app serves from this file too."""

import click

from App import create_app
from App.models import Todo

app = create_app()


@app.cli.command()
@click.argument("number", type=int)
def seed(number):
    """Add many todos."""
    for added in Todo.seed(number):
        click.echo(f"added {added}")
