"""The task market over HTTP.

Read them in this order:

    routes.py      what can be asked; schemas.py are its bodies
    handlers.py    what is done
    body_limit.py  how large a body may be
    client.py      a customer's end
"""
