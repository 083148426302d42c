"""VAEs for others: ``app`` is what is answered, ``engine`` where it is worked on, ``limits`` what is taken."""
