output "arn" {
  description = "ARN of the task definition with its revision."
  value       = aws_ecs_task_definition.this.arn
}

output "family" {
  description = "Name of the task definition without its revision."
  value       = aws_ecs_task_definition.this.family
}

output "container" {
  description = "Name of the container in which the process runs."
  value       = local.process_container.name
}

output "role_id" {
  description = "Name of the role of the process, to attach policies to."
  value       = aws_iam_role.task.id
}
