"""Events of jobs and batches as they happen, for any number of clients from a few threads."""
