"""Admission: whether a model call may be made now, decided for all workers together.

``gate.Gate`` is the door; ``shared`` keeps the windows in Redis or Valkey, ``local`` stands in while that is away.
"""
