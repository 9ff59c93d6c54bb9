"""What is offered, and how it is found: the query language, bitmaps, ranking. PURE, all of it.

Start at `catalogue.py`. An `Entry` goes in, a `Found` comes out; `query.py` says what people may type.
A query is a tree of `expression.py`, made by `query.py` and `terms.py`; `matcher.py` asks the bitmaps,
`ranking.py` and `paging.py` put what fits in order, and `spelling.py` looks for what may have been meant.
`documents.py` holds what is offered, `facets.py` turns it around, `snapshot.py` makes bytes of both.
"""
