"""Counts in words. Knows nothing of what is counted."""


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """Return a number and what it counts.

    Parameters
    ----------
    n : int
    noun : str
        What one is called; it may have a verb.
    plural : str, default=None
        What several, or none, are called. None: `noun` with an s.

    Examples
    --------
    >>> from skbert_filter.wording import counted
    >>> counted(1, "row"), counted(2000, "row"), counted(0, "file is", "files are")
    ('1 row', '2,000 rows', '0 files are')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
