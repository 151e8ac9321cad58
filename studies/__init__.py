"""WHICH runs: ablation axes and the rows of a study, their plan without repeats, and the statistics of their scores.

axes -> rows -> study (a YAML file, or one of `shipped/`) -> plan (study x profile -> runs) -> record (study.json).
`checks` and `estimate` examine a plan before anything starts; `statistics` and `bootstrap` compare rows that have run;
`search` proposes rows instead of listing them.
"""
