"""What survives a crash, in one SQLite file: schema.py has the tables, database.py opens it."""
