"""Finds the smallest model that keeps a budget, instead of choosing among listed ones.

space       `search:` of models/variants.yaml -> the candidates
study       which candidate next: Optuna, with its journal in the search's folder
objective   one candidate -> size, cost, accuracy: what is cheap before what is expensive
loop        trials until there are enough of them or the time is up, one or several at a time
finalists   which trials are judged on the test split, once
session     all of it, from a request to a report; resumes one that was interrupted
keep        adds what was found to models/variants.yaml
"""
