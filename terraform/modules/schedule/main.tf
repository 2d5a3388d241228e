data "aws_partition" "current" {}

locals {
  # The whole call of ECS: the simpler target for ECS takes no command.
  # docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
  call = jsonencode({
    Cluster        = var.cluster_arn
    TaskDefinition = var.family
    LaunchType     = "FARGATE"
    NetworkConfiguration = {
      AwsvpcConfiguration = {
        Subnets        = var.subnet_ids
        SecurityGroups = var.security_group_ids
        AssignPublicIp = "DISABLED"
      }
    }
    Overrides = { ContainerOverrides = [{ Name = var.container, Command = var.command }] }
  })
}

resource "aws_scheduler_schedule" "this" {
  #checkov:skip=CKV_AWS_297:it holds names, which are no secrets
  name                         = var.name
  description                  = "Runs: soulcaster ${join(" ", var.command)}"
  schedule_expression          = var.expression
  schedule_expression_timezone = "UTC"
  state                        = var.enabled ? "ENABLED" : "DISABLED"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = "arn:${data.aws_partition.current.partition}:scheduler:::aws-sdk:ecs:runTask"
    role_arn = aws_iam_role.this.arn
    # jsonencode writes < and > so that the scheduler does not know its own words any more.
    input = replace(replace(local.call, "\\u003c", "<"), "\\u003e", ">")

    retry_policy {
      maximum_retry_attempts       = 5
      maximum_event_age_in_seconds = 3600
    }
  }
}

data "aws_caller_identity" "current" {}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

resource "aws_iam_role" "this" {
  name               = "${var.name}-schedule"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "StartTheTask"
    actions   = ["ecs:RunTask"]
    resources = ["${var.family_arn}:*"]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [var.cluster_arn]
    }
  }

  statement {
    sid       = "PassItsRoles"
    actions   = ["iam:PassRole"]
    resources = var.role_arns

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy" "this" {
  name   = "run-task"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.this.json
}
