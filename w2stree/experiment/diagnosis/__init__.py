"""Why a run came out as it did: the method's failure signatures, measured."""
