"""The program behind `make`: it runs, checks and compares the lessons."""
