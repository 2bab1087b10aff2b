"""Do no harm: what applications and people do to their files and locks, and keep."""
