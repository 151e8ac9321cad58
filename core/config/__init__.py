"""Config of a run: every setting with its default, presets, profiles, command-line overrides, and the signature."""
