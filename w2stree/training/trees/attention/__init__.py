"""Attention on packs: what a token sees is its own sequence's past.

         pack                  dense             gather, varlen               flex
     u─a─b─c            k  u a b c d e     queries   keys             blocks of 128 x 128
         │ └─d        q u  ■               u a b c   u a b c          ■ full   no mask read
         └─e            a  ■ ■             d         u a b d          ▨ part   mask read
                        b  ■ ■ ■           e         u a e            · none   not computed
                        c  ■ ■ ■ ■
                        d  ■ ■ ■   ■
                        e  ■ ■       ■

`masks` asks the model what it sees along a sequence (windows, chunks), `paths` says what lies on
the way to each leaf, one file a backend makes the arguments of a forward pass of these, and
`forward` chooses between them.
"""
