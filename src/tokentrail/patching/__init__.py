"""How the client's methods are wrapped and their answers observed."""
