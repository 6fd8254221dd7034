"""Make the S3 buckets named on the command line; one that is there stays as it is."""

import sys

import boto3
from botocore.exceptions import ClientError

client = boto3.client("s3")  # address and keys come from the environment
there = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
for name in sys.argv[1:]:
    if name in there:
        print(f"{name}: is there")
        continue
    try:
        client.create_bucket(Bucket=name)
    except ClientError as error:
        sys.exit(f"error: the bucket {name!r} cannot be made: {error}")
    print(f"{name}: made")
