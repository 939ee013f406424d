"""What the app is about: todos."""

# TODO 5.3: Import StoredSession as well, so that `db migrate` finds its table. Then make the
#   migration and run it.
# TODO 5.4: Import User as well. When the models are right, make one migration for both changes.
from App.models.csv_file import read_csv
from App.models.todo import Todo

__all__ = ["Todo", "read_csv"]
