"""Figures of a report: the numbers of each and its drawing."""
