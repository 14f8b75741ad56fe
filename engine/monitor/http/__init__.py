"""A running engine seen from outside: over HTTP, and over a socket of this machine's user.

Read them in this order:

    routes.py            what can be asked
    server.py            listens: TCP (--http) and the user's socket
    auth.py              who may ask, and who may order
    connection_limit.py  at most so many connections
    health.py            /healthz; metrics.py is /metrics; static.py serves page/
    control_client.py    the other end of the socket: status, pause, resume
"""
