"""One output format per file; each offers `render(view) -> bytes`.

Files here are found by name: `markdown.py` becomes `--markdown FILE`.
"""
