"""The todos as resources, as the contract of Todo-Backend has them."""

# TODO 7.1: Two classes on top of Resource. The get() of one returns a list of the newest todos of
#   g.user, that of the other one todo, or 404. For now a todo is a dictionary with id and title.


# TODO 7.2: Say with fields what programs see of a todo: id, title, completed, order, and url, its
#   absolute address. In place of the dictionaries, return what marshal() makes of the todos.


# TODO 7.3: post() of the list adds a todo, patch() of one changes what the request names. Both read
#   the request with read_todo() of reading.py, and return the todo.


# TODO 7.4: post() answers 201, and the header Location says the todo's url. delete() of one deletes
#   it and answers 204, or 404 where there is none.


# TODO 7.7: get() of the list returns the page that the request asks for. The header Link says where
#   the first page is, always, and the one before and the one after, if there are such (RFC 8288).


# TODO 7.8: delete() of the list deletes all todos of g.user and answers 204.
