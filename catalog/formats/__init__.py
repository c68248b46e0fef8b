"""The formats that `import_catalog` reads.

A format is a module with `SOURCE`, an unsaved `Source`, or None where the caller names it, and
`read()`:

    def read(path: str, progress: Progress) -> Iterator[Record | Unreadable]

It yields what the file holds as it reads it. It raises `BrokenFile` if the file can't be read, is
not of the format, or ends too early; what came before that was yielded.
"""
