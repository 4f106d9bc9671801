"""Reports from outside, read into one shape: ARF, X-ARF, ACNS and free text. Nothing here touches a database."""
