"""Attention on packs: what a token sees is its own sequence's past.

         pack                  dense             gather                     varlen
     u─a─b─c            k  u a b c d e     queries   keys              queries   keys
         │ └─d        q u  ■               u a       u a               u a b c   u a b c
         └─e            a  ■ ■             b c       u a b c           d         u a b d
                        b  ■ ■ ■           d e       u a b d e         e         u a e
                        c  ■ ■ ■ ■
                        d  ■ ■ ■   ■
                        e  ■ ■       ■

`masks` asks the model what it sees along a sequence (windows, chunks); a file a backend makes the
arguments of a forward pass of this and of the pack; `forward` chooses between them.
"""
