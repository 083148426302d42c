"""How the pocket models are made: a drawn world, one trainer, and a small recipe for each network."""
