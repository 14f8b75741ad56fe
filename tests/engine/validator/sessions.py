"""Sessions of stores at the PostgreSQL server."""


def waits_for_a_lock(db, pid):
    sql = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
    return bool(db.execute(sql, (pid,)).fetchall())


def pid_of(store):
    return store.database.read("SELECT pg_backend_pid() AS pid")[0]["pid"]
