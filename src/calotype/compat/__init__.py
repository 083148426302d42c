"""The room where existing scripts come in: ``import calotype.compat.diffusers``, and their imports mean calotype."""
