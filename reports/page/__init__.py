"""The HTML page of a report: tables, figures, documents and errors."""
