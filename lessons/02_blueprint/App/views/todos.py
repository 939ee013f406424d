"""The pages of the todos, all below /todos."""

# TODO 2.2: Make a blueprint with the prefix /todos, and move the views of the todos to it.
#   Register it in create_app().


# TODO 2.6: POST /todos/<id> takes `title` and `completed` (a checkbox) from the form on the todo's
#   page and changes the todo. POST /todos/<id>/delete deletes it. Both redirect to /todos. A title
#   that is blank or longer than 200 characters is refused with status 400, an unknown id with 404.
