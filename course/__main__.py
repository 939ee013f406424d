"""`python -m course`: the program's front door."""

# Every Python can read this file, so that an old one is told what it lacks and not shown a SyntaxError.

import os
import sys

OLDEST = (3, 11)
VENV = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), ".venv")


def too_old(version, program, arguments, by_make):
    """Return the sentence for a Python `version` below the oldest that will do."""
    command = ("make {0} PYTHON=python3.12" if by_make else "python3.12 -m course {1}").format(
        "-".join(arguments[:2]), " ".join(arguments)
    )
    return "This course needs Python {}.{} or newer, and `{}` is {}.{}.{}. {}: {}".format(
        *(OLDEST + (program,) + tuple(version[:3]) + ("Install a newer one, or name it", command))
    )


def use_venv(arguments):
    """Go on in .venv where there is one already: whoever made it had a newer Python at hand."""
    python = os.path.join(VENV, "bin", "python")
    if os.access(python, os.X_OK) and os.path.realpath(sys.prefix) != os.path.realpath(VENV):
        os.execv(python, [python, "-m", "course"] + arguments)  # noqa: RUF005


def main():
    """Check the Python, have the packages in place, and run the program."""
    arguments = sys.argv[1:]
    if sys.version_info < OLDEST:
        use_venv(arguments)
        program = os.path.basename(sys.executable)
        by_make = "MAKELEVEL" in os.environ
        sys.stderr.write(too_old(sys.version_info, program, arguments, by_make) + "\n")
        sys.exit(2)

    from course.bootstrap import enter

    enter(arguments)
    from course.cli import main as run

    run()


if __name__ == "__main__":
    main()
