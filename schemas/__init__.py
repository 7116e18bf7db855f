"""Contracts: the words that every other part speaks. Pure: no I/O, no clock, no environment but :mod:`schemas.settings`."""
