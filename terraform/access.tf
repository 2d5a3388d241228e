# What the processes may do in AWS. The worker, the pollers and the jobs may do nothing.

data "aws_iam_policy_document" "web" {
  statement {
    sid       = "ReadLogsOfJobs"
    actions   = ["s3:GetObject"]
    resources = ["${module.archive.arn}/job-logs/*"]
  }

  # Without it S3 answers 403 instead of 404 for a log that is not there.
  statement {
    sid       = "TellWhetherALogIsThere"
    actions   = ["s3:ListBucket"]
    resources = [module.archive.arn]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["job-logs/*"]
    }
  }

  statement {
    sid       = "DecryptThem"
    actions   = ["kms:Decrypt"]
    resources = [module.key.arn]
  }
}

resource "aws_iam_role_policy" "web" {
  name   = "read-archive"
  role   = module.web.role_id
  policy = data.aws_iam_policy_document.web.json
}

data "aws_iam_policy_document" "launcher" {
  source_policy_documents = [data.aws_iam_policy_document.web.json] # it looks whether a log is there before it writes

  statement {
    sid       = "WriteLogsOfJobs"
    actions   = ["s3:AbortMultipartUpload", "s3:PutObject"]
    resources = ["${module.archive.arn}/job-logs/*"]
  }

  statement {
    sid       = "EncryptThem"
    actions   = ["kms:GenerateDataKey"]
    resources = [module.key.arn]
  }
}

resource "aws_iam_role_policy" "launcher" {
  name   = "write-archive"
  role   = module.launcher.role_id
  policy = data.aws_iam_policy_document.launcher.json
}

# As docs/launching.md lists it.
data "aws_iam_policy_document" "jobs" {
  count = var.fixes == null ? 0 : 1

  statement {
    sid       = "StartJobs"
    actions   = ["ecs:RunTask"]
    resources = ["${module.fixer[0].family_arn}:*"]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [module.fixer[0].cluster_arn]
    }
  }

  statement {
    sid       = "FollowAndStopJobs"
    actions   = ["ecs:DescribeTasks", "ecs:StopTask"]
    resources = ["${replace(module.fixer[0].cluster_arn, ":cluster/", ":task/")}/*"]
  }

  # These two know no resource but all: docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
  statement {
    sid       = "FindJobs"
    actions   = ["ecs:ListTasks"]
    resources = ["*"]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [module.fixer[0].cluster_arn]
    }
  }

  statement {
    sid       = "ReadTaskDefinitions"
    actions   = ["ecs:DescribeTaskDefinition"]
    resources = ["*"]
  }

  statement {
    sid       = "PassTheRoleThatStartsJobs"
    actions   = ["iam:PassRole"]
    resources = [module.fixer[0].execution_role_arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy" "jobs" {
  count = var.fixes == null ? 0 : 1

  name   = "run-jobs"
  role   = module.launcher.role_id
  policy = data.aws_iam_policy_document.jobs[0].json
}

# A backup looks whether there is one already, and writes. It reads nothing else, and deletes nothing.
data "aws_iam_policy_document" "backup" {
  count = var.backup == null ? 0 : 1

  statement {
    sid       = "WriteBackups"
    actions   = ["s3:AbortMultipartUpload", "s3:PutObject"]
    resources = ["${module.backups[0].arn}/*"]
  }

  statement {
    sid       = "TellWhetherThereIsOne"
    actions   = ["s3:GetObject"]
    resources = ["${module.backups[0].arn}/*/manifest.json"]
  }

  # Without it S3 answers 403 instead of 404 for a manifest that is not there.
  statement {
    sid       = "TellThatThereIsNone"
    actions   = ["s3:ListBucket"]
    resources = [module.backups[0].arn]
  }

  statement {
    sid       = "EncryptThem" # parts of a large object are decrypted when they are put together
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [module.key.arn]
  }
}

resource "aws_iam_role_policy" "backup" {
  count = var.backup == null ? 0 : 1

  name   = "write-backups"
  role   = module.backup[0].role_id
  policy = data.aws_iam_policy_document.backup[0].json
}

data "aws_partition" "current" {}

data "aws_iam_policy_document" "requests" {
  statement {
    sid       = "LoadBalancerWrites"
    actions   = ["s3:PutObject"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${local.requests_bucket}/AWSLogs/${data.aws_caller_identity.current.account_id}/*"]

    principals {
      type        = "Service"
      identifiers = ["logdelivery.elasticloadbalancing.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${data.aws_partition.current.partition}:elasticloadbalancing:*:${data.aws_caller_identity.current.account_id}:loadbalancer/*"]
    }
  }
}
