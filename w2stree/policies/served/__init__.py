"""What lies between a policy and a model server: address, key, connection, refusals, replies."""
