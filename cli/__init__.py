"""The `assay` command: each module a group of commands, each import of the house made by the command that needs it."""
