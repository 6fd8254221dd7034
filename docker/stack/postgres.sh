# Once, when the volume is new: a database each for MLflow and Prefect, with an owner who sees no other.
# The image's entrypoint runs it, with a server that only this container reaches.
set -eu

for name in mlflow prefect; do
    if [ "$name" = mlflow ]; then password=$MLFLOW_DB_PASSWORD; else password=$PREFECT_DB_PASSWORD; fi
    psql -v ON_ERROR_STOP=1 --username postgres --dbname postgres -v name="$name" -v password="$password" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
