"""A running engine over HTTP: on a port, and on a socket of this machine's user.

Read them in this order:

    routes.py            the routes
    server.py            listens: TCP (--http) and the user's socket
    auth.py              who may read, and who may control
    connection_limit.py  limits connections in number and silence
    health.py            /healthz; metrics.py is /metrics; static.py serves page/
    control_client.py    the other end of the socket: status, pause, resume
"""
