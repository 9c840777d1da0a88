"""Benchmarks: each compares things side by side in one run, and asserts the ratios that must hold."""
