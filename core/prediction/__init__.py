"""Predictions for documents of a user: windows, output files, and the HTML page."""
