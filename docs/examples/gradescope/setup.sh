#!/bin/sh
# Runs once, when Gradescope builds the machine on which submissions are graded.
set -e
apt-get update
apt-get install -y git python3 python3-venv
cd /autograder/source/course
python3 -m course progress
