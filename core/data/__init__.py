"""Documents: what they are, how files of them are read and written, data sets, splits, issues in real files."""
