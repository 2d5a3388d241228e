data "aws_region" "current" {}
data "aws_partition" "current" {}

locals {
  container = "fixer"
}

# A cluster of its own: its machines run jobs and nothing else.
resource "aws_ecs_cluster" "this" {
  name = "${var.name}-fixes"

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_security_group" "jobs" {
  name        = "${var.name}-jobs"
  description = "Jobs: out to https, in from nobody; no way to Kafka and Redis"
  vpc_id      = var.vpc_id
}

# GitHub, the model, registries and our own API. Names are limited inside of the job, by its proxies.
resource "aws_vpc_security_group_egress_rule" "jobs" {
  security_group_id = aws_security_group.jobs.id
  description       = "https to anywhere"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_security_group" "machines" {
  name        = "${var.name}-job-machines"
  description = "Machines that run jobs: out to https, in from nobody"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "machines" {
  security_group_id = aws_security_group.machines.id
  description       = "https to AWS and to registries of images"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

data "aws_iam_policy_document" "machine_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "machine" {
  name               = "${var.name}-job-machine"
  assume_role_policy = data.aws_iam_policy_document.machine_trust.json
}

resource "aws_iam_role_policy_attachment" "machine" {
  role       = aws_iam_role.machine.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
}

resource "aws_iam_instance_profile" "machine" {
  name = "${var.name}-job-machine"
  role = aws_iam_role.machine.name
}

resource "aws_launch_template" "this" {
  name_prefix            = "${var.name}-job-"
  update_default_version = true
  # AWS's newest image for ECS is looked up whenever a machine starts.
  image_id      = "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
  instance_type = var.instance_type

  iam_instance_profile {
    arn = aws_iam_instance_profile.machine.arn
  }

  network_interfaces {
    associate_public_ip_address = false
    security_groups             = [aws_security_group.machines.id]
  }

  # A job must not get the machine's role. docs.aws.amazon.com/AmazonECS/latest/developerguide/security-iam-roles.html
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_size           = var.disk_gb
      volume_type           = "gp3"
      encrypted             = true
      delete_on_termination = true
    }
  }

  user_data = base64encode(<<-EOT
    #!/bin/sh
    cat >> /etc/ecs/ecs.config <<'END'
    ECS_CLUSTER=${aws_ecs_cluster.this.name}
    ECS_AWSVPC_BLOCK_IMDS=true
    ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION=5m
    END
  EOT
  )

  tag_specifications {
    resource_type = "instance"
    tags          = { Name = "${var.name}-job" }
  }
}

resource "aws_autoscaling_group" "this" {
  name                  = "${var.name}-jobs"
  min_size              = 0
  max_size              = var.most_instances
  vpc_zone_identifier   = var.subnet_ids
  protect_from_scale_in = true # ECS lifts it when no job runs there

  launch_template {
    id      = aws_launch_template.this.id
    version = aws_launch_template.this.latest_version
  }

  tag {
    key                 = "AmazonECSManaged"
    value               = "true"
    propagate_at_launch = true
  }

  lifecycle {
    ignore_changes = [desired_capacity] # ECS decides it
  }
}

resource "aws_ecs_capacity_provider" "this" {
  name = "${var.name}-jobs"

  auto_scaling_group_provider {
    auto_scaling_group_arn         = aws_autoscaling_group.this.arn
    managed_termination_protection = "ENABLED"
    managed_draining               = "ENABLED"

    managed_scaling {
      status                 = "ENABLED"
      target_capacity        = 100
      instance_warmup_period = 120
    }
  }
}

# Machines start only for tasks that name a capacity provider, or none at all (then this one): the launch type EC2 would
# wait for machines that never come. So ECS_LAUNCH_TYPE is set and empty.
resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = [aws_ecs_capacity_provider.this.name]

  default_capacity_provider_strategy {
    capacity_provider = aws_ecs_capacity_provider.this.name
    weight            = 1
  }
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/${var.name}/fixer"
  retention_in_days = var.log_days
  kms_key_id        = var.key_arn
}

data "aws_iam_policy_document" "task_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "execution" {
  name               = "${var.name}-fixer-start"
  assume_role_policy = data.aws_iam_policy_document.task_trust.json
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

# There is no task role: a job has no rights in AWS, so nothing that runs in it can take any.
resource "aws_ecs_task_definition" "this" {
  #checkov:skip=CKV_AWS_336:a job needs a disk
  family                   = "${var.name}-fixer"
  requires_compatibilities = ["EC2"]
  network_mode             = "awsvpc"
  execution_role_arn       = aws_iam_role.execution.arn

  container_definitions = jsonencode([{
    name        = local.container
    image       = var.image
    essential   = true
    cpu         = var.cpu
    memory      = var.memory
    stopTimeout = 5 # so long a program lives on after a cancel: docs/launching.md
    privileged  = false
    # The tree, its packages and its tests need a disk, which is the container's own and goes with it.
    readonlyRootFilesystem = false
    linuxParameters = {
      initProcessEnabled = true
      # The sandbox makes user namespaces. Docker's seccomp profile lets only containers do that whose bounding set has
      # this capability (docs.docker.com/engine/security/seccomp), and ECS cannot name another profile. The image's user
      # is not root, so no process of the container has the capability, and no-new-privileges lets none get it.
      capabilities = { add = ["SYS_ADMIN"] }
    }
    dockerSecurityOptions = ["no-new-privileges"]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this.name
        awslogs-region        = data.aws_region.current.region
        awslogs-stream-prefix = local.container
      }
    }
  }])
}
