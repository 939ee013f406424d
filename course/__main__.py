"""`python -m course`: the program's front door."""

# Any Python can read this file, so that an old one says what it lacks instead of SyntaxError.
# mypy: allow-untyped-defs, allow-untyped-calls

import os
import sys

OLDEST = (3, 11)
VENV = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), ".venv")


def main():
    """Check the Python, see that the packages are there, and run the program."""
    arguments = sys.argv[1:]
    if sys.version_info < OLDEST:
        use_venv(arguments)
        sys.stderr.write(too_old(arguments) + "\n")
        sys.exit(2)

    from course.bootstrap import enter

    enter(arguments)
    from course.cli import main as run

    run()


def use_venv(arguments):
    """Go on in .venv where there is one: whoever made it named a newer Python."""
    python = os.path.join(VENV, "bin", "python")
    if os.access(python, os.X_OK) and os.path.realpath(sys.prefix) != os.path.realpath(VENV):
        os.execv(python, [python, "-m", "course"] + arguments)  # noqa: RUF005


def too_old(arguments):
    """Return the sentence for a Python that is too old, with the command that would do."""
    if "MAKELEVEL" in os.environ:
        command = "make {} PYTHON=python3.12".format("-".join(arguments[:2]))
    else:
        command = "python3.12 -m course {}".format(" ".join(arguments))
    return (
        "This course needs Python {needed} or newer, and `{name}` is {version}. "
        "Install a newer one, or name it: {command}"
    ).format(
        needed=".".join(map(str, OLDEST)),
        name=os.path.basename(sys.executable),
        version=".".join(map(str, sys.version_info[:3])),
        command=command,
    )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:  # before there is anyone to say a sentence
        sys.exit(130)
