"""Tables of a report, and how they are written as LaTeX, Markdown and CSV."""
