# SPDX-License-Identifier: Apache-2.0
# abi-needs: sqlite3
# The sqlite3 shell: tables, transactions, locking by two processes.
sqlite3 db 'create table t(a integer primary key, b text); insert into t(b) values("x"),("y");'
sqlite3 db 'select * from t; select count(*), sum(a) from t;'
seq 500 | sed 's/.*/insert into t(b) values("row &");/' | (echo 'begin;'; cat; echo 'commit;') | sqlite3 db
sqlite3 db 'select count(*), max(b) from t; pragma integrity_check; pragma page_count;'
sqlite3 db 'pragma journal_mode=wal; delete from t where a % 2; vacuum; select count(*) from t;'
sqlite3 db .dump | tail -3
sqlite3 db 'select nonsense'; echo $?
rm -f db*
