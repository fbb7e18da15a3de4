"""Gives every policy to a stand-in for IAM, which reads them as AWS does; prints those that it refuses, one a line."""

import json
import re
import sys

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws


def policies(file):
    with open(file) as text:
        resources = json.load(text)["resource"]
    for kind, named in resources.items():
        for name, resource in named.items():
            for argument in ("policy", "assume_role_policy"):
                if argument in resource and kind in ("aws_iam_role", "aws_iam_role_policy"):
                    # A value known only after apply stands for some ARN.
                    yield f"{kind}.{name}", argument, re.sub(r"\$\{[^}]*\}", "arn:aws:sqs:us-east-1:123456789012:q", resource[argument])


@mock_aws
def main(files):
    iam = boto3.client("iam", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    given = 0
    for number, (name, argument, text) in enumerate(one for file in files for one in policies(file)):
        try:
            if argument == "policy":
                iam.create_policy(PolicyName=f"p{number}", PolicyDocument=text)
            else:
                iam.create_role(RoleName=f"r{number}", AssumeRolePolicyDocument=text)
            given += 1
        except ClientError as error:
            print(f"{name}: {error}")
    print(f"{given} taken")


main(sys.argv[1:])
