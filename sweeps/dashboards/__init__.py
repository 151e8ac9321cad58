"""Dashboards: a study in W&B, and its upload."""
