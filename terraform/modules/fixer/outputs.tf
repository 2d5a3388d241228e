output "cluster_name" {
  description = "Name of the ECS cluster of jobs."
  value       = aws_ecs_cluster.this.name

  depends_on = [aws_ecs_cluster_capacity_providers.this]
}

output "cluster_arn" {
  description = "ARN of that cluster."
  value       = aws_ecs_cluster.this.arn
}

output "family" {
  description = "Name of the task definition; its newest revision runs."
  value       = aws_ecs_task_definition.this.family
}

output "family_arn" {
  description = "ARN of the task definition without its revision."
  value       = aws_ecs_task_definition.this.arn_without_revision
}

output "container" {
  description = "Container that gets the variables of a job."
  value       = local.container
}

output "execution_role_arn" {
  description = "Role that whoever runs a task must be allowed to pass."
  value       = aws_iam_role.execution.arn
}

output "security_group_id" {
  description = "Security group of the jobs."
  value       = aws_security_group.jobs.id
}
