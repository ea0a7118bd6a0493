"""Links to other tools. Nothing in the package imports them but the command that was asked to."""
