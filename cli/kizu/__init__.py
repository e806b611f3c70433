"""The front door: commands, configuration and the demo. The only package that knows all the others."""
