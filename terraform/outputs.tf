output "address" {
  description = "Where browsers, webhooks, pollers and jobs find the web server."
  value       = local.address
}

output "load_balancer" {
  description = "Name to which the domain must lead, where zone_id is null."
  value       = module.load_balancer.dns_name
}

output "repositories" {
  description = "Addresses of the image repositories."
  value       = module.registry.urls
}

output "publisher_role_arn" {
  description = "Role that the workflow on GitHub takes to push images."
  value       = one(module.publisher[*].role_arn)
}

output "secrets" {
  description = "Secrets whose values you put, by variable."
  value       = module.secrets.arns
}

output "key_arn" {
  description = "ARN of the KMS key, for the secret of a Kafka that you bring."
  value       = module.key.arn
}

output "alarm_topic_arn" {
  description = "Topic of all alarms, for further subscribers."
  value       = module.alarms.topic_arn
}

output "backups" {
  description = "Bucket of the backups, one folder each by its time, for `soulcaster restore`."
  value       = one(module.backups[*].bucket)
}

output "topics_command" {
  description = "Makes the topics that are missing."
  value = join(" ", [
    "aws ecs run-task --region ${var.region} --cluster ${aws_ecs_cluster.this.name} --launch-type FARGATE",
    "--task-definition ${module.topics.family}",
    "--network-configuration 'awsvpcConfiguration={subnets=[${join(",", module.network.private_subnet_ids)}],securityGroups=[${join(",", local.client_groups)}],assignPublicIp=DISABLED}'",
  ])
}
