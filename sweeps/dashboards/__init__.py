"""Dashboards: a study in W&B."""
