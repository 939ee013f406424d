"""Todos in a CSV file: UTF-8, with a first line that names the columns title and completed."""

import csv
from io import StringIO
from pathlib import Path

from App.models.text import TITLE_LENGTH, clean

COMPLETED = {"yes": True, "no": False, "": False}


def read_csv(path):
    """Return the rows of the file for Todo.add_all, or raise ValueError that names the line."""
    text = read_text(path)
    reader = csv.DictReader(StringIO(text, newline=""), strict=True)
    try:
        if reader.fieldnames not in (["title"], ["title", "completed"]):
            raise ValueError("The first line names the columns: title,completed.")
        return [read_row(row) for row in reader]
    except ValueError as error:
        raise ValueError(f"Line {max(reader.line_num, 1)}: {error}") from error
    except csv.Error as error:  # in a line that is not counted yet, if it is not the end
        line = min(reader.line_num + 1, len(text.splitlines()))
        raise ValueError(f"Line {line}: {error}") from error


def read_text(path):
    data = Path(path).read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"Line {line}: This is not UTF-8.") from error


def read_row(row):
    if None in row or None in row.values():
        raise ValueError("A row has one value for each column.")
    if row.get("completed", "") not in COMPLETED:
        raise ValueError("What is in completed is yes or no.")
    return {
        "title": clean("title", row["title"], TITLE_LENGTH),
        "completed": COMPLETED[row.get("completed", "")],
    }
