"""A provider that follows a script: the Anthropic Messages protocol over real HTTP, with every way it can go wrong.

It is no mock: the unmodified SDK talks to it, so that what is tested is what runs. It also stands in for the provider
in benchmarks, with a set latency.
"""

from stack.scripted.server import ScriptedProvider

__all__ = ["ScriptedProvider"]
