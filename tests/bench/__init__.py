"""`make bench`: the purge measured against hand-written SQL, both sides in one run, alternating."""
