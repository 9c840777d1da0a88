"""Checks of a machine or container before it serves: one module for each area."""
