"""What survives a crash, in a database: backend.py says what is needed of one, schema.py the tables."""
