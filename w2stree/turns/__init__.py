"""An agent's turns: the text it says, the action in it, and the token ids of both."""
