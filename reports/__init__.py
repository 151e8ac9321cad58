"""Reports: tables, figures and a page of a study, from its records alone; nothing here computes a run."""
