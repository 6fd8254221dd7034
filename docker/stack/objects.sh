#!/bin/sh
# SeaweedFS as a single S3 server. What it consists of (master, volumes, filer) listens on this container's loopback alone,
# for none of it asks for a key; the S3 port does.
set -eu

umask 077
cat > /tmp/s3.json <<JSON
{"identities": [
  {"name": "admin", "credentials": [{"accessKey": "admin", "secretKey": "$OBJECTS_ADMIN_SECRET"}], "actions": ["Admin"]},
  {"name": "mlflow", "credentials": [{"accessKey": "mlflow", "secretKey": "$OBJECTS_MLFLOW_SECRET"}],
   "actions": ["Read:mlflow", "Write:mlflow", "List:mlflow", "Tagging:mlflow"]},
  {"name": "dvc", "credentials": [{"accessKey": "dvc", "secretKey": "$OBJECTS_DVC_SECRET"}],
   "actions": ["Read:dvc", "Write:dvc", "List:dvc", "Tagging:dvc"]}
]}
JSON

# Files of 1 GiB at most, as many as the disk holds; no usage statistics to the makers; no catalogues beside S3; a
# mistyped bucket is an error.
exec weed -logtostderr=true server -dir=/data -ip=127.0.0.1 -ip.bind=127.0.0.1 \
    -master.telemetry=false -master.volumeSizeLimitMB=1024 -volume.max=0 -filer \
    -s3 -s3.ip.bind=0.0.0.0 -s3.port=8333 -s3.config=/tmp/s3.json \
    -s3.iam=false -s3.autoCreateBucket=false -s3.allowDeleteBucketNotEmpty=false -s3.port.iceberg=0 -s3.port.lance=0
