"""The command: schema of case files, the objects that a case describes, and what each subcommand does."""

from fe_phaseinv.cli.command import main

__all__ = ["main"]
