"""WHERE runs happen: the launcher of a study and its engines, search, display, and mirrors in dashboards."""
