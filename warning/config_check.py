"""What is wrong between the files of a region: names that nobody has, orders, loops, gaps."""

from warning.config_read import Files
from warning.errors import Problem


def check_all(files: Files) -> list[Problem]:
    return []
