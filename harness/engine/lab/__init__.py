"""A lab: a scheduler and a worker on each host, all of them Dask's own.

address.py       where a lab is, and what may be reached without a certificate
keys.py          a certificate authority and a key for each host
protocol.py      what scheduler, workers and clients must agree on; a task and its outcome
scheduler.py     the process of `lab start`
worker.py        the process of `lab join`: what it offers, how it does tasks
offers.py        the phones and the processors of one host
child.py         the process that does one task, and puts everything back when nobody listens
task_process.py  that process as the worker sees it
depot.py         files by SHA-256, sent to each host once
transfer.py      files between a client and a host
hosts.py         the hosts as the scheduler knows them
"""
