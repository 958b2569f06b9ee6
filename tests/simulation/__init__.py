"""Deterministic simulation of the whole system: one process, one thread, virtual time, everything decided by a seed.

A *story* (`story.py`) is an explicit value: a world of campaigns, ad sets and ads, and a list of events, each due at a
time or at a certain call of a certain invocation. `draw.py` draws one from a seed. `simulation.py` plays it against the
real handler, whose HTTP border, AWS clients, thread pool and clock are replaced (`border.py`, `kernel.py`), in a world
whose Meta breaks links and whose people interfere (`meta.py`). In some stories Meta also pushes, which the receiver and
a queue turn into rechecks (`pushes.py`). `clauses.py` states what must hold; `judge.py` and `push_judge.py` hold the
story against it, and `unobservable.py` names what no client can see in time. A story that violates a clause is made as
small as possible (`shrink.py`) and kept (`regressions.py`).
"""
