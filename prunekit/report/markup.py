"""What notebooks and the report made of them share: the MIME type of tables and figures, and how text is escaped."""

MIME = "application/vnd.prunekit+json"  # tells the report which file an output stands for
PUBLISHED = "published"  # in a key of a table's row: it is set small and grey
LONG_LINE = 1000  # characters: pandoc gives tables with a longer line the column widths of their dashes


def first_sentence(text: str) -> str:
    return text.split(". ")[0].removesuffix(".") + "."


def verbatim(text: str) -> str:
    """A message as one line of code, which no reader of Markdown takes for anything else."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"
