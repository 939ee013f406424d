"""The interface for programs, below /api: a resource for all todos, and one for each."""

# TODO 7.1: Make a blueprint with the prefix /api, and an Api (from flask_restful) for it. Add the
#   two resources of todos.py: at /todos, and at /todos/<int:todo_id>.


# TODO 7.4: Flask-RESTful answers the errors of its resources itself, past App/errors.py. Make a
#   class on top of Api whose error_router(self, original_handler, error) leaves them to
#   original_handler, which is Flask's own way, and use it in place of Api.


# TODO 7.5: After every request below /api/, a refused one too, say in headers that pages of any
#   origin may use the API: Access-Control-Allow-Origin, and -Expose-Headers for Link and Location.
#   To OPTIONS say also which methods and headers: -Allow-Methods and -Allow-Headers.
