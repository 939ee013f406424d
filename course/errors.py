"""What the program says when it cannot do what it was asked."""


class CourseError(Exception):
    """One clear sentence for the person at the terminal; the program then exits with code 2."""
