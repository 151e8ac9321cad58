"""LaTeX of tables: characters, columns and environments."""
