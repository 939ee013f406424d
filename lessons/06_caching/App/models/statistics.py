"""What all todos say in numbers."""

# TODO 6.1: Write get_statistics(since), which has the database count. It returns a dict: total and
#   completed, two numbers; by_day, pairs of a date and a number, the newest first, from the date
#   `since` on; by_user, pairs of a name and a number, the ten largest, the largest first,
#   of all time.


# TODO 6.3: Put the queries into a function count(since) with @cache.memoize(), and have
#   get_statistics() call it. Set g.cache to "hit" before the call, and to "miss" in count().


# TODO 6.5: Give count() a second argument, which is another text after every commit. The cache
#   keeps that text: where you add one, read it again, for another's may have won, or be gone. A
#   function that listens for "after_commit" of db.session deletes it there.


# TODO 6.6: Have one thread count while the others wait, with a Lock. A thread that waits holds no
#   connection to the database: db.session.rollback() gives it back.
