locals {
  username = "soulcaster"
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/${var.name}/kafka"
  retention_in_days = var.log_days
  kms_key_id        = var.key_arn
}

# Express brokers have these values and do not let them be changed, but for auto.create.topics.enable, which is off there:
# docs.aws.amazon.com/msk/latest/developerguide/msk-configuration-express-read-write.html and -read-only.html
resource "aws_msk_configuration" "standard" {
  count = var.kind == "standard" ? 1 : 0

  name           = var.name
  kafka_versions = [var.kafka_version]

  # Topics are made by `soulcaster topics`. The size is that of the topic dead-letters, which takes the largest messages.
  # What a group has read is remembered longer than the records are kept (docs/upgrading.md).
  server_properties = <<-EOT
    auto.create.topics.enable = false
    default.replication.factor = 3
    min.insync.replicas = 2
    unclean.leader.election.enable = false
    message.max.bytes = 4456448
    replica.fetch.max.bytes = 4456448
    offsets.retention.minutes = 86400
  EOT
}

resource "aws_msk_cluster" "this" {
  cluster_name           = var.name
  kafka_version          = var.kafka_version
  number_of_broker_nodes = var.brokers_per_zone * length(var.subnet_ids)
  enhanced_monitoring    = "PER_TOPIC_PER_BROKER"

  broker_node_group_info {
    instance_type   = var.instance_type
    client_subnets  = var.subnet_ids
    security_groups = [var.security_group_id]

    dynamic "storage_info" {
      for_each = var.kind == "standard" ? [var.disk_gb] : []

      content {
        ebs_storage_info {
          volume_size = storage_info.value
        }
      }
    }
  }

  client_authentication {
    unauthenticated = false

    sasl {
      scram = true
    }
  }

  encryption_info {
    encryption_at_rest_kms_key_arn = var.key_arn

    encryption_in_transit {
      client_broker = "TLS"
      in_cluster    = true
    }
  }

  dynamic "configuration_info" {
    for_each = aws_msk_configuration.standard

    content {
      arn      = configuration_info.value.arn
      revision = configuration_info.value.latest_revision
    }
  }

  logging_info {
    broker_logs {
      cloudwatch_logs {
        enabled   = true
        log_group = aws_cloudwatch_log_group.this.name
      }
    }
  }

  lifecycle {
    prevent_destroy = true # the log of record is here
    # Standard brokers' disks can be let grow by MSK; they never shrink.
    ignore_changes = [broker_node_group_info[0].storage_info[0].ebs_storage_info[0].volume_size]

    precondition {
      condition     = var.kind == "standard" || length(var.subnet_ids) == 3
      error_message = "Express brokers need three zones."
    }
  }
}

ephemeral "aws_secretsmanager_random_password" "this" {
  password_length     = 40
  exclude_punctuation = true
}

# MSK reads it itself. The name must begin with AmazonMSK_, and the key must be the customer's own, not AWS's default.
# docs.aws.amazon.com/msk/latest/developerguide/msk-password-tutorial.html
# MSK attaches a policy to it when it is associated and says not to change that, so there is none here.
resource "aws_secretsmanager_secret" "this" {
  name                    = "AmazonMSK_${var.name}"
  description             = "User and password of Kafka"
  kms_key_id              = var.key_arn
  recovery_window_in_days = 30
}

# Write-only: the password is neither in the plan nor in the state.
resource "aws_secretsmanager_secret_version" "this" {
  secret_id = aws_secretsmanager_secret.this.id
  secret_string_wo = jsonencode({
    username = local.username
    password = ephemeral.aws_secretsmanager_random_password.this.random_password
  })
  secret_string_wo_version = var.password_version
}

resource "aws_msk_single_scram_secret_association" "this" {
  cluster_arn = aws_msk_cluster.this.arn
  secret_arn  = aws_secretsmanager_secret.this.arn

  depends_on = [aws_secretsmanager_secret_version.this]
}
