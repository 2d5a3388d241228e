data "aws_region" "current" {}

locals {
  full_name = "${var.name}-${var.process}"

  # The check that the image brings; ECS does not read the image's own.
  health_check = var.health_port == null ? null : {
    command     = ["CMD", "soulcaster-health"]
    interval    = 30
    timeout     = 10
    retries     = 3
    startPeriod = 120 # a worker reads its tables before it works
  }

  process_container = {
    name                   = var.process
    image                  = var.image
    command                = var.command
    essential              = true
    stopTimeout            = 30 # every process ends by itself in 15 s
    readonlyRootFilesystem = true
    privileged             = false
    healthCheck            = local.health_check
    environment            = [for name in sort(keys(var.environment)) : { name = name, value = var.environment[name] }]
    secrets = [
      for name in sort(keys(var.secrets)) : {
        name = name
        # docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html: arn:json-key:stage:version
        valueFrom = var.secrets[name].key == null ? var.secrets[name].arn : "${var.secrets[name].arn}:${var.secrets[name].key}::"
      }
    ]
    portMappings = [for port in var.ports : { containerPort = port, hostPort = port, protocol = "tcp" }]
    linuxParameters = {
      initProcessEnabled = true
      capabilities       = { drop = ["ALL"] }
      # Fargate has it since January 2026.
      tmpfs = [{ containerPath = "/tmp", size = 256, mountOptions = ["mode=1777", "nosuid", "nodev"] }]
    }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this.name
        awslogs-region        = data.aws_region.current.region
        awslogs-stream-prefix = var.process
        mode                  = "non-blocking" # a slow log must not stop the work
        max-buffer-size       = "8m"
      }
    }
  }

  collector_container = var.collector == null ? null : {
    name                   = "collector"
    image                  = var.collector.image
    essential              = false
    readonlyRootFilesystem = true
    privileged             = false
    environment = [{
      name = "AOT_CONFIG_CONTENT"
      value = templatefile("${path.module}/collector.yaml.tftpl", {
        process   = var.process
        port      = var.health_port
        region    = data.aws_region.current.region
        namespace = var.collector.namespace
        log_group = aws_cloudwatch_log_group.metrics[0].name
        metrics   = var.collector.metrics
      })
    }]
    linuxParameters = { capabilities = { drop = ["ALL"] } }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this.name
        awslogs-region        = data.aws_region.current.region
        awslogs-stream-prefix = "collector"
      }
    }
  }
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/${var.name}/${var.process}"
  retention_in_days = var.log_days
  kms_key_id        = var.key_arn
}

resource "aws_cloudwatch_log_group" "metrics" {
  count = var.collector == null ? 0 : 1

  name              = "/${var.name}/${var.process}-metrics"
  retention_in_days = var.log_days
  kms_key_id        = var.key_arn
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
  }
}

# What ECS does before the process runs: fetch the image, read its secrets, open its log.
resource "aws_iam_role" "execution" {
  name               = "${local.full_name}-start"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

data "aws_partition" "current" {}

data "aws_iam_policy_document" "secrets" {
  count = length(var.secrets) == 0 ? 0 : 1

  statement {
    actions   = ["secretsmanager:GetSecretValue"]
    resources = distinct([for secret in var.secrets : secret.arn])
  }

  statement {
    actions   = ["kms:Decrypt"]
    resources = [var.key_arn]
  }
}

resource "aws_iam_role_policy" "secrets" {
  count = length(var.secrets) == 0 ? 0 : 1

  name   = "read-own-secrets"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.secrets[0].json
}

# What the process itself may do: nothing, until a policy is attached to it.
resource "aws_iam_role" "task" {
  name               = local.full_name
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

data "aws_iam_policy_document" "metrics" {
  count = var.collector == null ? 0 : 1

  statement {
    actions   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.metrics[0].arn}:*"]
  }
}

resource "aws_iam_role_policy" "metrics" {
  count = var.collector == null ? 0 : 1

  name   = "write-metrics"
  role   = aws_iam_role.task.id
  policy = data.aws_iam_policy_document.metrics[0].json
}

resource "aws_ecs_task_definition" "this" {
  family                   = local.full_name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn

  container_definitions = jsonencode([
    for container in [local.process_container, local.collector_container] : container if container != null
  ])

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }

  depends_on = [aws_iam_role_policy.secrets, aws_iam_role_policy_attachment.execution]
}
