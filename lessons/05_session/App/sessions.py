"""Where sessions are kept: SESSION_STORE says it, and the views do not notice."""

# TODO 5.2: Write init_app(app). It sets SESSION_TYPE to "cachelib" and SESSION_CACHELIB to a
#   FileSystemCache in the folder sessions of app.instance_path, which must not lose a session when
#   there are many. Then it calls Session(app).


# TODO 5.3: SESSION_STORE is cookie (Flask's own), memory (a SimpleCache), files, database
#   (DatabaseSessions, from App/database_sessions.py) or redis (at REDIS_URL). With any other word,
#   raise a RuntimeError that names the five.


# TODO 5.3: Write delete_expired(app), which deletes what has expired in files and in the database.
