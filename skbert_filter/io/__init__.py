"""Reads and writes users' files in bounded memory; an output appears once it is complete."""
