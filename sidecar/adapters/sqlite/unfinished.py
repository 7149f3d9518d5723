"""What if work is too long for one transaction?"""


class Unfinished(Exception):
    """Raised by work to be done again from its beginning, in a transaction of its own.

    What it has changed stays. So a long task is no long transaction, for which others wait.
    """
