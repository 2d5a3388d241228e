# What the processes need: network, key, images, Kafka, cache, secrets, buckets. The processes are in processes.tf.

data "aws_caller_identity" "current" {}

locals {
  address      = "https://${var.domain}"
  port         = 8080
  metrics_port = 9464
  cache_port   = 6379

  # Bucket names are unique in all of AWS.
  bucket_prefix   = "${var.name}-${data.aws_caller_identity.current.account_id}-${var.region}"
  requests_bucket = "${local.bucket_prefix}-requests"
}

module "key" {
  source = "./modules/key"

  name = var.name
}

module "network" {
  source = "./modules/network"

  name                = var.name
  cidr                = var.cidr
  zones               = var.zones
  nat_per_zone        = var.nat_per_zone
  interface_endpoints = var.interface_endpoints
  key_arn             = module.key.arn
  log_days            = var.log_days
}

module "registry" {
  source = "./modules/registry"

  repositories = [var.name, "${var.name}-fixer"]
  images_kept  = 30
  key_arn      = module.key.arn
}

module "publisher" {
  source = "./modules/publisher"
  count  = var.publishing == null ? 0 : 1

  name               = var.name
  github_repository  = var.publishing.github_repository
  github_environment = var.publishing.github_environment
  oidc_provider_arn  = var.publishing.oidc_provider_arn
  repository_arns    = module.registry.arns
}

module "kafka_port" {
  source = "./modules/private_port"
  count  = var.kafka == null ? 1 : 0

  name                     = "${var.name}-kafka"
  what                     = "Kafka"
  vpc_id                   = module.network.vpc_id
  client_security_group_id = module.network.client_security_group_id
  port                     = 9096 # SASL/SCRAM inside of the network: docs.aws.amazon.com/msk/latest/developerguide/port-info.html
}

module "kafka" {
  source = "./modules/kafka"
  count  = var.kafka == null ? 1 : 0

  name              = var.name
  kind              = var.msk.kind
  instance_type     = var.msk.instance_type
  brokers_per_zone  = var.msk.brokers_per_zone
  kafka_version     = var.msk.kafka_version
  disk_gb           = var.msk.disk_gb
  subnet_ids        = module.network.private_subnet_ids
  security_group_id = module.kafka_port[0].id
  key_arn           = module.key.arn
  log_days          = var.log_days
  password_version  = var.msk.password_version
}

resource "aws_vpc_security_group_egress_rule" "kafka" {
  for_each = var.kafka == null ? toset([]) : toset(var.kafka.cidrs)

  security_group_id = module.network.client_security_group_id
  description       = "The Kafka that was brought"
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = var.kafka.port
  to_port           = var.kafka.port
}

module "cache_port" {
  source = "./modules/private_port"

  name                     = "${var.name}-cache"
  what                     = "Valkey"
  vpc_id                   = module.network.vpc_id
  client_security_group_id = module.network.client_security_group_id
  port                     = local.cache_port
}

module "cache" {
  source = "./modules/cache"

  name              = var.name
  node_type         = var.cache.node_type
  replicas          = var.cache.replicas
  subnet_ids        = module.network.private_subnet_ids
  security_group_id = module.cache_port.id
  key_arn           = module.key.arn
  log_days          = var.log_days
  password_version  = var.cache.password_version
  port              = local.cache_port
}

module "secrets" {
  source = "./modules/secrets"

  name      = var.name
  variables = local.secret_variables
  key_arn   = module.key.arn
}

module "archive" {
  source = "./modules/bucket"

  bucket        = "${local.bucket_prefix}-archive"
  key_arn       = module.key.arn
  replaced_days = 30
}

module "backups" {
  source = "./modules/bucket"
  count  = var.backup == null ? 0 : 1

  bucket        = "${local.bucket_prefix}-backups"
  key_arn       = module.key.arn
  kept_days     = var.backup.kept_days
  replaced_days = 30
}

# The load balancer can write to a bucket with S3's own key only:
# docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
module "requests" {
  source = "./modules/bucket"

  bucket        = local.requests_bucket
  kept_days     = var.log_days
  replaced_days = 1
  policies      = [data.aws_iam_policy_document.requests.json]
}

module "load_balancer" {
  source = "./modules/load_balancer"

  name                   = var.name
  vpc_id                 = module.network.vpc_id
  subnet_ids             = module.network.public_subnet_ids
  task_security_group_id = aws_security_group.web.id
  port                   = local.port
  health_port            = local.metrics_port
  certificate_arn        = var.certificate_arn
  web_acl_arn            = var.web_acl_arn
  log_bucket             = module.requests.bucket
  deletion_protection    = var.deletion_protection

  # Pollers and jobs come through NAT.
  allowed_cidrs = merge(
    { for cidr in var.allowed_cidrs : cidr => cidr },
    { for zone, address in module.network.nat_addresses : "nat-${zone}" => "${address}/32" },
  )
}

resource "aws_security_group" "web" {
  name        = "${var.name}-web"
  description = "Web server: in from the load balancer"
  vpc_id      = module.network.vpc_id
}

resource "aws_route53_record" "web" {
  count = var.zone_id == null ? 0 : 1

  zone_id = var.zone_id
  name    = var.domain
  type    = "A"

  alias {
    name                   = module.load_balancer.dns_name
    zone_id                = module.load_balancer.zone_id
    evaluate_target_health = true
  }
}
