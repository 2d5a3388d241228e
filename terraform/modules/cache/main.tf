resource "aws_cloudwatch_log_group" "this" {
  name              = "/${var.name}/cache"
  retention_in_days = var.log_days
  kms_key_id        = var.key_arn
}

resource "aws_elasticache_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.subnet_ids
}

resource "aws_elasticache_parameter_group" "this" {
  name   = var.name
  family = "valkey8"

  # Sessions, limits and the read model have no copy elsewhere in memory: a full cache refuses writes and says so,
  # instead of dropping what nobody knows is gone. ElastiCache's default is volatile-lru.
  parameter {
    name  = "maxmemory-policy"
    value = "noeviction"
  }
}

ephemeral "aws_secretsmanager_random_password" "this" {
  password_length     = 40
  exclude_punctuation = true # it becomes part of an address; ElastiCache refuses most of it, too
}

resource "aws_secretsmanager_secret" "password" {
  name                    = "${var.name}/cache-password"
  description             = "Password of Valkey"
  kms_key_id              = var.key_arn
  recovery_window_in_days = 30
}

resource "aws_secretsmanager_secret_version" "password" {
  secret_id                = aws_secretsmanager_secret.password.id
  secret_string_wo         = ephemeral.aws_secretsmanager_random_password.this.random_password
  secret_string_wo_version = var.password_version
}

# Every run makes another random password, so what is used is what was stored.
ephemeral "aws_secretsmanager_secret_version" "password" {
  secret_id  = aws_secretsmanager_secret_version.password.secret_id
  version_id = aws_secretsmanager_secret_version.password.version_id
}

# One shard of nodes, cluster mode off: our calls read and write several keys at once, which slots of a cluster refuse
# (CROSSSLOT). ElastiCache Serverless is cluster mode only, so it is none of the choices.
resource "aws_elasticache_replication_group" "this" {
  #checkov:skip=CKV_AWS_31:it has a password, by auth_token_wo, which checkov does not know
  #checkov:skip=CKV2_AWS_50:it is multi-zone when there are replicas, which is a variable
  replication_group_id = var.name
  description          = "Read model of ${var.name}"

  engine               = "valkey"
  engine_version       = "8.0"
  node_type            = var.node_type
  num_cache_clusters   = var.replicas + 1
  cluster_mode         = "disabled"
  parameter_group_name = aws_elasticache_parameter_group.this.name
  port                 = var.port

  automatic_failover_enabled = var.replicas > 0
  multi_az_enabled           = var.replicas > 0
  auto_minor_version_upgrade = true

  subnet_group_name  = aws_elasticache_subnet_group.this.name
  security_group_ids = [var.security_group_id]

  at_rest_encryption_enabled = true
  kms_key_id                 = var.key_arn
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"
  auth_token_wo              = ephemeral.aws_secretsmanager_secret_version.password.secret_string
  auth_token_wo_version      = var.password_version
  auth_token_update_strategy = "ROTATE" # the old password works until the next change, so nothing is cut off

  # Kafka is the record and `soulcaster rebuild` makes the read model again, so a snapshot of one day is a convenience.
  snapshot_retention_limit = 1

  log_delivery_configuration {
    destination      = aws_cloudwatch_log_group.this.name
    destination_type = "cloudwatch-logs"
    log_format       = "json"
    log_type         = "slow-log"
  }
}

resource "aws_secretsmanager_secret" "url" {
  name                    = "${var.name}/REDIS_URL"
  description             = "Address of Valkey with its password"
  kms_key_id              = var.key_arn
  recovery_window_in_days = 30
}

resource "aws_secretsmanager_secret_version" "url" {
  secret_id = aws_secretsmanager_secret.url.id
  secret_string_wo = format(
    "rediss://:%s@%s:%d/0",
    ephemeral.aws_secretsmanager_secret_version.password.secret_string,
    aws_elasticache_replication_group.this.primary_endpoint_address,
    var.port,
  )
  secret_string_wo_version = var.password_version
}
