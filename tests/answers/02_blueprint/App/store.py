"""The todos, in a list."""


class Todo:
    count = 0

    def __init__(self, title, done=False):
        Todo.count += 1
        self.id, self.title, self.done = Todo.count, title, done


rows = [Todo("Buy milk", done=True), Todo("Learn Flask")]


def clean(title):
    title = (title or "").strip()
    return title if 0 < len(title) <= 200 else None
