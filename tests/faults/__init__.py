"""What the counters do when the way to Redis fails: a proxy that makes it fail, and proofs."""
