# The environment variables of the processes. tests/deploy/test_terraform.py compares every name with the settings that
# the code declares, and which process reads it.

locals {
  # Which processes read which secret setting. Those of Kafka and Redis are made with Kafka and Redis.
  secret_readers = {
    SOULCASTER_SESSION_KEY = ["web"]
    SOULCASTER_SECRETS_KEY = ["web", "launcher"]
    GITHUB_SECRET          = ["web"]
    GITHUB_TOKEN           = ["web", "launcher"]
    GITHUB_APP_PRIVATE_KEY = ["web", "launcher"]
    GEMINI_API_KEY         = ["worker", "web", "launcher"]
    SOULCASTER_MODEL_KEY   = ["web", "launcher"]
    ANTHROPIC_API_KEY      = ["web", "launcher"]
    OPENAI_API_KEY         = ["web", "launcher"]
    E2B_API_KEY            = ["launcher"]
    SOULCASTER_API_KEY     = ["poller"]
    REDDIT_CLIENT_SECRET   = ["poller"]
  }

  # Without the first two web server and launcher do not start; pollers need a key of the API.
  secret_variables = setunion(
    ["SOULCASTER_SESSION_KEY", "SOULCASTER_SECRETS_KEY"],
    length(var.pollers) == 0 ? [] : ["SOULCASTER_API_KEY"],
    var.secrets,
  )

  secrets_of = {
    for process in ["worker", "web", "launcher", "poller"] : process => {
      for variable in local.secret_variables : variable => { arn = module.secrets.arns[variable] }
      if contains(local.secret_readers[variable], process)
    }
  }

  kafka = var.kafka == null ? {
    servers    = module.kafka[0].servers
    security   = "SASL_SSL"
    mechanism  = "SCRAM-SHA-512" # the only one of MSK: docs.aws.amazon.com/msk/latest/developerguide/msk-password-limitations.html
    secret_arn = module.kafka[0].secret_arn
    } : {
    servers    = var.kafka.servers
    security   = var.kafka.security
    mechanism  = var.kafka.mechanism
    secret_arn = var.kafka.secret_arn
  }

  common_environment = merge(var.settings, {
    SOULCASTER_METRICS_HOST = "0.0.0.0"
    SOULCASTER_METRICS_PORT = tostring(local.metrics_port)
  })

  kafka_environment = {
    SOULCASTER_KAFKA           = local.kafka.servers
    SOULCASTER_KAFKA_SECURITY  = local.kafka.security
    SOULCASTER_KAFKA_MECHANISM = local.kafka.mechanism
    SOULCASTER_PARTITIONS      = tostring(var.partitions)
    SOULCASTER_REPLICATION     = "3"
  }

  kafka_secrets = {
    SOULCASTER_KAFKA_USER     = { arn = local.kafka.secret_arn, key = "username" }
    SOULCASTER_KAFKA_PASSWORD = { arn = local.kafka.secret_arn, key = "password" }
  }

  redis_secrets = {
    REDIS_URL = { arn = module.cache.url_secret_arn }
  }

  # Web server and launcher both need these, with the same values.
  fixes_environment = {
    SOULCASTER_BACKENDS    = var.fixes == null ? "dry-run" : "ecs"
    SOULCASTER_LOG_ARCHIVE = "s3://${module.archive.bucket}/job-logs"
    BACKEND_URL            = local.address
  }

  # Of boto, not of ours.
  aws_environment = { AWS_REGION = var.region }

  web_environment = {
    SOULCASTER_HOST       = "0.0.0.0"
    PORT                  = tostring(local.port)
    SOULCASTER_PUBLIC_URL = local.address
  }

  poller_environment = {
    BACKEND_URL = local.address
  }

  # Empty ECS_LAUNCH_TYPE is the cluster's capacity provider: modules/fixer says why.
  launcher_environment = {
    for variable, value in {
      ECS_CLUSTER_NAME       = one(module.fixer[*].cluster_name)
      ECS_TASK_DEFINITION    = one(module.fixer[*].family)
      ECS_CONTAINER_NAME     = one(module.fixer[*].container)
      ECS_SUBNET_IDS         = join(",", module.network.private_subnet_ids)
      ECS_SECURITY_GROUP_IDS = one(module.fixer[*].security_group_id)
      ECS_LAUNCH_TYPE        = ""
    } : variable => value if var.fixes != null
  }
}
