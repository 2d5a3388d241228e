# The processes: a task definition each, with roles of its own, and a service that keeps it running.

resource "aws_ecs_cluster" "this" {
  name = var.name

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

locals {
  client_groups = [module.network.task_security_group_id, module.network.client_security_group_id]

  metrics = {
    namespace    = "Soulcaster/${var.name}"
    dimensions   = { process = "worker" }
    backlog      = "soulcaster_backlog_seconds"
    commit_age   = "soulcaster_commit_age_seconds"
    stopped      = "soulcaster_stopped_partitions"
    dead_letters = "soulcaster_dead_letters_total"
  }
}

# Run it once before the first start, and after an upgrade that brings topics: the output topics_command.
module "topics" {
  source = "./modules/task"

  name         = var.name
  process      = "topics"
  image        = var.image
  command      = ["topics"]
  cpu          = 256
  memory       = 1024
  architecture = var.architecture
  environment  = merge(var.settings, local.kafka_environment)
  secrets      = local.kafka_secrets
  ports        = []
  key_arn      = module.key.arn
  log_days     = var.log_days
}

module "backup" {
  source = "./modules/task"
  count  = var.backup == null ? 0 : 1

  name         = var.name
  process      = "backup"
  image        = var.image
  command      = ["backup"] # the schedule says where to
  cpu          = 512
  memory       = 2048
  architecture = var.architecture
  environment  = merge(var.settings, local.kafka_environment, local.aws_environment)
  secrets      = local.kafka_secrets
  ports        = []
  key_arn      = module.key.arn
  log_days     = var.log_days
}

module "backup_schedule" {
  source = "./modules/schedule"
  count  = var.backup == null ? 0 : 1

  name               = "${var.name}-backup"
  expression         = var.backup.schedule
  enabled            = var.running
  cluster_arn        = aws_ecs_cluster.this.arn
  family             = module.backup[0].family
  family_arn         = module.backup[0].family_arn
  container          = module.backup[0].container
  command            = ["backup", "s3://${module.backups[0].bucket}/<aws.scheduler.scheduled-time>"]
  role_arns          = module.backup[0].role_arns
  subnet_ids         = module.network.private_subnet_ids
  security_group_ids = local.client_groups
}

module "worker" {
  source = "./modules/task"

  name         = var.name
  process      = "worker"
  image        = var.image
  command      = ["worker"]
  cpu          = var.workers.cpu
  memory       = var.workers.memory
  architecture = var.architecture
  environment  = merge(local.common_environment, local.kafka_environment)
  secrets      = merge(local.kafka_secrets, local.redis_secrets, local.secrets_of["worker"])
  ports        = [local.metrics_port]
  health_port  = local.metrics_port
  key_arn      = module.key.arn
  log_days     = var.log_days

  collector = {
    image     = var.collector_image
    namespace = local.metrics.namespace
    metrics   = [local.metrics.backlog, local.metrics.commit_age, local.metrics.stopped, local.metrics.dead_letters]
  }
}

module "workers" {
  source = "./modules/workers"

  name                = "${var.name}-worker"
  cluster_arn         = aws_ecs_cluster.this.arn
  cluster_name        = aws_ecs_cluster.this.name
  task_definition_arn = module.worker.arn
  subnet_ids          = module.network.private_subnet_ids
  security_group_ids  = local.client_groups
  partitions          = var.partitions
  fewest              = var.running ? var.workers.fewest : 0
  most                = var.running ? var.workers.most : 0
  more_above_seconds  = var.workers.more_above_seconds
  fewer_below_seconds = var.workers.fewer_below_seconds

  metric = {
    namespace  = local.metrics.namespace
    name       = local.metrics.backlog
    dimensions = local.metrics.dimensions
  }
}

module "web" {
  source = "./modules/task"

  name         = var.name
  process      = "web"
  image        = var.image
  command      = ["web"]
  cpu          = var.web.cpu
  memory       = var.web.memory
  architecture = var.architecture
  environment  = merge(local.common_environment, local.kafka_environment, local.fixes_environment, local.web_environment, local.aws_environment)
  secrets      = merge(local.kafka_secrets, local.redis_secrets, local.secrets_of["web"])
  ports        = [local.port, local.metrics_port]
  health_port  = local.metrics_port
  key_arn      = module.key.arn
  log_days     = var.log_days
}

module "web_service" {
  source = "./modules/service"

  name                = "${var.name}-web"
  cluster_arn         = aws_ecs_cluster.this.arn
  task_definition_arn = module.web.arn
  tasks               = var.running ? var.web.tasks : 0
  subnet_ids          = module.network.private_subnet_ids
  security_group_ids  = concat(local.client_groups, [aws_security_group.web.id])

  target = {
    group_arn = module.load_balancer.target_group_arn
    container = module.web.container
    port      = local.port
  }
}

module "launcher" {
  source = "./modules/task"

  name         = var.name
  process      = "launcher"
  image        = var.image
  command      = ["launcher"]
  cpu          = var.launcher.cpu
  memory       = var.launcher.memory
  architecture = var.architecture
  environment  = merge(local.common_environment, local.kafka_environment, local.fixes_environment, local.launcher_environment, local.aws_environment)
  secrets      = merge(local.kafka_secrets, local.redis_secrets, local.secrets_of["launcher"])
  ports        = [local.metrics_port]
  health_port  = local.metrics_port
  key_arn      = module.key.arn
  log_days     = var.log_days
}

module "launcher_service" {
  source = "./modules/service"

  name                = "${var.name}-launcher"
  cluster_arn         = aws_ecs_cluster.this.arn
  task_definition_arn = module.launcher.arn
  tasks               = var.running ? var.launcher.tasks : 0
  subnet_ids          = module.network.private_subnet_ids
  security_group_ids  = local.client_groups
}

module "poller" {
  source   = "./modules/task"
  for_each = var.pollers

  name         = var.name
  process      = "poller-${each.key}"
  image        = var.image
  command      = ["poll", each.key]
  cpu          = 256
  memory       = 512
  architecture = var.architecture
  environment  = merge(local.common_environment, local.poller_environment)
  secrets      = local.secrets_of["poller"]
  ports        = [local.metrics_port]
  health_port  = local.metrics_port
  key_arn      = module.key.arn
  log_days     = var.log_days
}

module "poller_service" {
  source   = "./modules/service"
  for_each = module.poller

  name                = "${var.name}-poller-${each.key}"
  cluster_arn         = aws_ecs_cluster.this.arn
  task_definition_arn = each.value.arn
  tasks               = var.running ? 1 : 0
  subnet_ids          = module.network.private_subnet_ids
  security_group_ids  = [module.network.task_security_group_id] # clients of the API: no Kafka, no Redis
}

module "fixer" {
  source = "./modules/fixer"
  count  = var.fixes == null ? 0 : 1

  name           = var.name
  image          = var.fixes.image
  vpc_id         = module.network.vpc_id
  subnet_ids     = module.network.private_subnet_ids
  instance_type  = var.fixes.instance_type
  most_instances = var.fixes.most_instances
  disk_gb        = var.fixes.disk_gb
  cpu            = var.fixes.cpu
  memory         = var.fixes.memory
  key_arn        = module.key.arn
  log_days       = var.log_days
}

module "alarms" {
  source = "./modules/alarms"

  name            = var.name
  emails          = var.alarm_emails
  key_arn         = module.key.arn
  enabled         = var.running
  cluster_name    = aws_ecs_cluster.this.name
  cache_node_ids  = module.cache.node_ids
  metrics         = local.metrics
  backlog_seconds = var.backlog_alarm_seconds

  services = setunion(
    [module.workers.name, module.web_service.name, module.launcher_service.name],
    [for service in module.poller_service : service.name],
  )

  load_balancer = {
    arn_suffix              = module.load_balancer.arn_suffix
    target_group_arn_suffix = module.load_balancer.target_group_arn_suffix
  }

  kafka = var.kafka != null ? null : {
    cluster_name       = module.kafka[0].cluster_name
    brokers_with_disks = var.msk.kind == "standard" ? var.msk.brokers_per_zone * length(var.zones) : 0
  }
}
