"""How counts and a user's texts are written out. Knows nothing of what they are of."""


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


def printable(value: object, letters: int | None = None) -> str:
    r"""Return a text, label or file name of the user with all that cannot be printed escaped.

    Whatever is printed of the user goes through this function or through `repr`, which escape the
    same characters: a scraped text may clear the terminal, set its title, or turn the line around.

    Parameters
    ----------
    value : object
        Its str is shown.
    letters : int, default=None
        How many letters there is room for: a longer text loses its middle.

    Examples
    --------
    >>> from skbert_filter.wording import printable
    >>> print(printable("caf\u00e9 \x1b[2J\x07 \x9b31m \u202e"))
    café \x1b[2J\x07 \x9b31m \u202e
    >>> printable("garden furniture, tools and accessories", 18)
    'garden fu…essories'
    """
    text = str(value)
    if not text.isprintable():
        text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    if letters is None or len(text) <= letters:
        return text
    return f"{text[: letters // 2]}…{text[letters // 2 - letters + 1 :]}"
