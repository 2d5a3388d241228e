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
