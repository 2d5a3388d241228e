"""How a project is clustered."""
