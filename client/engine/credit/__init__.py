"""Credit: how much each person and we have given each other, signed by both, and what priority follows.

`weight.py` is the rule, `ledger.py` what is counted and kept, `signing.py` how two people come to a receipt,
`reporting.py` what index servers are told.
"""
