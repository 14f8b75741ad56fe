"""What is checked how often.

Read them in this order:

    audit_policy.py  the policy
    deterrence.py    searches it for a cheat that gains
"""
