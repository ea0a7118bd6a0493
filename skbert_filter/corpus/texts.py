"""All texts of a corpus, one after the other, whatever files they are in."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from skbert_filter.corpus.sources import list_sources
from skbert_filter.io.columns import check_no_nulls, check_text_column, valid_texts
from skbert_filter.io.decoding import check_encoding
from skbert_filter.io.lines import TEXT
from skbert_filter.io.reading import open_rows


def text_arrays(
    source: str | Path, text: str = "text", *, encoding: str | None = None
) -> Iterator[pa.Array]:
    """Read the texts of a corpus batch by batch; a missing or damaged text is an error.

    Parameters
    ----------
    source : str or Path
        What `filter_corpus` reads: a file of one of its kinds, a folder of them, or ``-``.
    text : str, default="text"
        The column with the texts.
    encoding : str, default=None
        What to decode text files from that are not UTF-8, such as "cp1252".

    Yields
    ------
    texts : pyarrow.Array of str
        Those of a batch of rows.

    Raises
    ------
    FileNotFoundError, ValueError
        As `filter_corpus`; the file and the row are named.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skbert_filter.corpus.texts import text_arrays
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.csv").write_text("text,page\\nView All,1\\nAbout,1\\n")
    ...     _ = Path(folder, "b.txt").write_text("Contact us\\n")
    ...     [texts.to_pylist() for texts in text_arrays(folder)]
    [['View All', 'About'], ['Contact us']]
    """
    check_encoding(encoding)
    for file in list_sources(Path(source)):
        first_row = 1
        with open_rows(file.path, text, encoding=encoding) as table:
            name = text if table.format.is_table else TEXT
            check_text_column(table.schema, name, file.path)
            for batch, _ in table.batches:
                values = batch.column(name)
                check_no_nulls(values, name, file.path, first_row=first_row)
                yield valid_texts(values, name, file.path, first_row=first_row)
                first_row += batch.num_rows
