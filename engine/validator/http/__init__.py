"""The task market over HTTP.

Read them in this order:

    routes.py      the routes; schemas.py has their bodies
    handlers.py    what the routes do
    body_limit.py  how large a body may be
    client.py      a customer's end
"""
